/* UTF-8 decoding without tables; the range checks of the second byte exclude overlong forms and surrogates. */
#include "base/utf8.h"

unsigned ig_utf8_decode(const char *text, size_t n, uint32_t *cp) {
    const unsigned char *p = (const unsigned char *)text;
    if (!n) return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    unsigned len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len) return 0;
    uint32_t v = p[0] & (0x7fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    if (len == 3 && (v < 0x800 || (v >= 0xd800 && v <= 0xdfff))) return 0;
    if (len == 4 && (v < 0x10000 || v > 0x10ffff)) return 0;
    *cp = v;
    return len;
}

unsigned ig_utf8_encode(uint32_t cp, char out[4]) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) return 0;
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

bool ig_utf8_valid(const char *p, size_t n) {
    uint32_t cp;
    while (n) {
        unsigned len = ig_utf8_decode(p, n, &cp);
        if (!len) return false;
        p += len;
        n -= len;
    }
    return true;
}

size_t ig_utf8_complete(const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = p[n - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t len = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
        if (len <= back) return n;
        /* A lead byte whose sequence cannot become valid any more is not held back. */
        uint32_t cp;
        char probe[4] = {(char)c, back > 1 ? text[n - back + 1] : (char)0x80, (char)0x80, (char)0x80};
        if (back == 3) probe[2] = text[n - 1];
        if (back == 1 && (c == 0xe0 || c == 0xf0)) probe[1] = (char)0xa0;
        return ig_utf8_decode(probe, len, &cp) ? n - back : n;
    }
    return n;
}
