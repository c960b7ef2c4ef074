/* The toy's interpreter: a hardened program of the prefix which becomes the machine's own Python
   (LENT) under its own name, so that Python finds its prefix from where this file lies. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As CPython's getpath has it: the one place where an executable names the configured prefix. */
static const char *volatile configured_prefix = PREFIX;

int main(int count, char **words)
{
    char name[4096];
    if (count == 2 && strcmp(words[1], "--configured-prefix") == 0)
        return puts(configured_prefix) < 0;
    snprintf(name, sizeof name, "%s", words[0]);
    words[0] = name;
    execv(LENT, words);
    perror(LENT);
    return 127;
}
