/* spawn COUNT PARALLEL PROGRAM: runs PROGRAM so many times, so many at once, and prints the seconds it took.
 *
 * The limit for every supervisor: nothing is recorded, captured, committed or reported. It only looks at each exit code, and fails on
 * the first that is not 0. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int left = atoi(argv[1]), room = atoi(argv[2]), running = 0;
    char *child[] = {argv[3], NULL};
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    while (left > 0 || running > 0) {
        while (left > 0 && running < room) {
            pid_t pid;
            int error = posix_spawn(&pid, argv[3], NULL, NULL, child, environ);
            if (error) {
                fprintf(stderr, "%s: %s\n", argv[3], strerror(error));
                return 1;
            }
            left--;
            running++;
        }
        int status;
        if (wait(&status) < 0 || status != 0) return 1;
        running--;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.6f\n", (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
