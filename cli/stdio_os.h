/* What `ingle stdio` needs of the operating system: threads, a lock with a condition, whole writes,
 * and the news that the parent is gone. stdio_posix.c and stdio_win32.c are twins. */
#ifndef STDIO_OS_H
#define STDIO_OS_H

#include <stdbool.h>
#include <stddef.h>

struct stdio_lock; /* a mutex and one condition */

struct stdio_lock *stdio_lock_open(void); /* NULL: no memory */
void stdio_lock_close(struct stdio_lock *l);
void stdio_take(struct stdio_lock *l);
void stdio_give(struct stdio_lock *l);
void stdio_wait(struct stdio_lock *l,
                double seconds);       /* holding it; may wake early; negative: for ever */
void stdio_wake(struct stdio_lock *l); /* everyone who waits */

/* A thread that nobody joins. */
bool stdio_start_thread(void (*fn)(void *ud), void *ud);

/* Takes the two streams away from everyone else in this process, and from its children: after this,
 * what a driver prints goes to standard error, and the descriptors are closed for programs that it
 * starts. */
bool stdio_claim_streams(void);
/* Blocks; 0 at the end, -1 on an error. */
long stdio_read(char *p, size_t n);
/* Everything or false. */
bool stdio_write(const char *p, size_t n);
/* Ends the process at once when its parent has ended, however that happened. Linux, macOS; on
 * Windows the parent's job object does it. */
void stdio_end_with_parent(void);
/* At once: no handlers, no flushing. */
void stdio_exit(int code);

#endif
