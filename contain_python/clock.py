"""The C source of the library that moves the calendar of every program that loads it."""

from __future__ import annotations

#: Deadlines on the calendar are moved back, or whoever waits for them would wait for days.
CLOCK_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int is_calendar(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *when)
{
    int status = (int)syscall(SYS_clock_gettime, clock, when);
    if (status == 0 && is_calendar(clock))
        when->tv_sec += OFFSET;
    return status;
}

int timespec_get(struct timespec *when, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, when) == 0 ? base : 0;
}

time_t time(time_t *when)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (when)
        *when = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

static struct timespec real(const struct timespec *deadline)
{
    struct timespec moved = *deadline;
    if (moved.tv_sec > 1000000000) /* no machine is up that long: it is on the calendar */
        moved.tv_sec -= OFFSET;
    return moved;
}

#define NEXT(name, ...) ((int (*)(__VA_ARGS__, const struct timespec *))dlsym(RTLD_NEXT, name))

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline)
{
    struct timespec moved = real(deadline);
    return NEXT("sem_timedwait", sem_t *)(semaphore, &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
                            const struct timespec *restrict deadline)
{
    struct timespec moved = real(deadline);
    return NEXT("pthread_mutex_timedlock", pthread_mutex_t *)(mutex, &moved);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline)
{
    struct timespec moved = real(deadline);
    return NEXT("pthread_cond_timedwait", pthread_cond_t *, pthread_mutex_t *)(condition, mutex,
                                                                              &moved);
}
"""
