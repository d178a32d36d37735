/* Shared by the Windows files of this room. Include after the system's headers. */
#ifndef IG_WIN32_H
#define IG_WIN32_H

#include "os/os.h"

enum { IG_OS_PATH_UNITS = 2048 };

/* System error `e` as an error: "path: could not VERB: why". */
ingle_status ig_os_fail_system(ingle_error *err, unsigned long e, const char *path,
                               const char *verb);
/* UTF-16 of a UTF-8 path; false with the thread's last error set. */
bool ig_os_widen(const char *path, wchar_t *out, int cap);

#endif
