/* A machine whose clock is elsewhere: preloaded, it adds an offset to the time of day that processes are told.
 *
 * The offset (nanoseconds, 64 bits) stands in the file that OPS_TEST_CLOCK names, is shared by all processes and may
 * change while they run. Clocks that only measure (monotonic, processor time) are left alone, so waits stay waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t *offset;

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("OPS_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) offset = page;
}

static int (*real_clock_gettime)(clockid_t, struct timespec *);

static int64_t told(clockid_t clock) {
    struct timespec now;
    if (!real_clock_gettime)
        real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (real_clock_gettime) real_clock_gettime(clock, &now);
    else syscall(SYS_clock_gettime, clock, &now);
    return now.tv_sec * SECOND + now.tv_nsec + (offset ? *offset : 0);
}

int clock_gettime(clockid_t clock, struct timespec *answer) {
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        int64_t now = told(clock);
        answer->tv_sec = now / SECOND;
        answer->tv_nsec = now % SECOND;
        return 0;
    }
    if (!real_clock_gettime)
        real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return real_clock_gettime ? real_clock_gettime(clock, answer) : (int)syscall(SYS_clock_gettime, clock, answer);
}

int gettimeofday(struct timeval *restrict answer, void *restrict zone) {
    (void)zone;
    int64_t now = told(CLOCK_REALTIME);
    answer->tv_sec = now / SECOND;
    answer->tv_usec = now % SECOND / 1000;
    return 0;
}

time_t time(time_t *answer) {
    time_t now = told(CLOCK_REALTIME) / SECOND;
    if (answer) *answer = now;
    return now;
}
