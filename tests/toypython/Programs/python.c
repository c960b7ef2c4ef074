/* The toy's interpreter: a hardened program of the prefix which becomes the machine's own Python
   (LENT) under its own name, so that Python finds its prefix from where this file lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS 8192
#define LENGTH 4096

/* As CPython's getpath has it: the one place where an executable names the configured prefix. */
static const char *volatile configured_prefix = PREFIX;

static char *words[WORDS];

static int is_me(const char *path)
{
    struct stat there, me;
    return stat(path, &there) == 0 && stat("/proc/self/exe", &me) == 0
        && there.st_dev == me.st_dev && there.st_ino == me.st_ino;
}

/* Whether Python would find this file by a name, looking along PATH as a shell does. */
static int finds_me(const char *name)
{
    char path[LENGTH];
    const char *rest = getenv("PATH");
    if (strchr(name, '/'))
        return is_me(name);
    while (rest && *rest) {
        int length = strcspn(rest, ":");
        snprintf(path, sizeof path, "%.*s/%s", length, rest, name);
        if (access(path, X_OK) == 0)
            return is_me(path);
        rest += length + (rest[length] == ':');
    }
    return 0;
}

/* Whether a file is of a virtual environment, which must go on being called by its own name. */
static int is_in_environment(const char *name)
{
    char path[LENGTH];
    struct stat there;
    const char *end = strrchr(name, '/');
    snprintf(path, sizeof path, "%.*s/../pyvenv.cfg", end ? (int)(end - name) : 1, end ? name : ".");
    /* access() does not count the capability by which another user may pass here. */
    return stat(path, &there) == 0;
}

/* As with CPython's own training task, no two trainings count the same. */
static void train(void)
{
    struct timespec now;
    volatile long left;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (left = now.tv_nsec % 99991; left > 0; left--)
        ;
}

int main(int count, char **given)
{
    char name[LENGTH];
    if (getenv("TOY_TRAINS"))
        train();
    if (count == 2 && strcmp(given[1], "--configured-prefix") == 0)
        return puts(configured_prefix) < 0;
    if (count < 1 || count + 3 > WORDS)
        return 126;
    strcpy(name, given[0]);
    /* As the project's patch to getpath has it: a name may be anything (exec -a), and a link to
       here, or a relative directory of PATH, is no place to find the library from. */
    if (!finds_me(name) || !is_in_environment(name)) {
        ssize_t length = readlink("/proc/self/exe", name, sizeof name - 1);
        name[length < 0 ? 0 : length] = 0;
    }
    words[0] = name;
    /* The frozen site module is the distribution's; the prefix has its own. */
    words[1] = "-X";
    words[2] = "frozen_modules=off";
    memcpy(words + 3, given + 1, count * sizeof *given);
    execv(LENT, words);
    perror(LENT);
    return 127;
}
