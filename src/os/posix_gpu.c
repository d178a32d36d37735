/* Which makers' graphics processors are plugged in, whether or not a driver can use them. Linux
 * tells it in files; other systems bring their drivers along, so that the question does not come up
 * there. */
#ifndef _WIN32
#define _GNU_SOURCE
#include "os/posix.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long read_hex(const char *root, const char *device, const char *name) {
    char path[512], line[32] = "";
    snprintf(path, sizeof path, "%s/bus/pci/devices/%.64s/%s", root, device, name);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    bool ok = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    return ok ? strtoul(line, NULL, 16) : 0;
}

/* Display controllers have class 0x03...., compute accelerators 0x1200... */
bool ig_os_find_gpu(const char *root, unsigned vendor) {
    char path[512];
    bool found = false;
    snprintf(path, sizeof path, "%s/bus/pci/devices", root);
    DIR *d = opendir(path);
    if (!d) return false;
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;) {
        unsigned long class = e->d_name[0] == '.' ? 0 : read_hex(root, e->d_name, "class") >> 8;
        if (class >> 8 == 0x03 || class == 0x1200)
            found = read_hex(root, e->d_name, "vendor") == vendor;
    }
    closedir(d);
    return found;
}

bool ig_os_has_gpu(unsigned vendor) {
    return ig_os_find_gpu("/sys", vendor);
}
#else
typedef int ig_posix_gpu_not_here; /* ISO C wants a declaration in every file */
#endif
