/* The toy's interpreter: a hardened program of the prefix which becomes the machine's own Python
   (LENT) under its own name, so that Python finds its prefix from where this file lies. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS 8192

/* As CPython's getpath has it: the one place where an executable names the configured prefix. */
static const char *volatile configured_prefix = PREFIX;

static char *words[WORDS];

int main(int count, char **given)
{
    char name[4096];
    if (count == 2 && strcmp(given[1], "--configured-prefix") == 0)
        return puts(configured_prefix) < 0;
    if (count + 3 > WORDS)
        return 126;
    strcpy(name, given[0]);
    words[0] = name;
    /* The frozen site module is the distribution's; the prefix has its own. */
    words[1] = "-X";
    words[2] = "frozen_modules=off";
    memcpy(words + 3, given + 1, count * sizeof *given);
    execv(LENT, words);
    perror(LENT);
    return 127;
}
