/* Unpacks the LZ4 block format. A block is a list of sequences: a token byte with two lengths of four bits, more bytes of
 * the first length, that many literal bytes, a distance of two bytes, more bytes of the second length. The second length,
 * plus 4, is copied from `distance` bytes back in the output. The last sequence ends after its literals.
 *
 * Promises to read only the input and to write only the output, whatever the bytes are. Knows nothing of frames,
 * checksums and dictionaries.
 *
 * The subtle thing: a match may overlap what it writes (distance 1 repeats one byte), so it is copied from low to high,
 * byte by byte. */
#include "base/lz.h"

#include <stdint.h>
#include <string.h>

struct input {
    const uint8_t *p;
    size_t left;
};

/* A length of four bits; 15 goes on in bytes until one is below 255. A length beyond `most` can only be an error, so the
 * sum never wraps. */
static bool take_length(struct input *in, size_t nibble, size_t most, size_t *out) {
    size_t length = nibble;
    if (nibble == 15) {
        uint8_t more;
        do {
            if (!in->left || length > most) return false;
            more = *in->p++;
            in->left--;
            length += more;
        } while (more == 255);
    }
    *out = length;
    return length <= most;
}

bool ig_lz_unpack(const void *packed, size_t n, void *unpacked, size_t out_n) {
    struct input in = {packed, n};
    uint8_t *out = unpacked;
    size_t at = 0;
    while (in.left) {
        size_t token = *in.p++, length;
        in.left--;
        if (!take_length(&in, token >> 4, out_n - at, &length) || length > in.left) return false;
        if (length) memcpy(out + at, in.p, length);
        in.p += length, in.left -= length, at += length;
        if (!in.left) return at == out_n; /* the last sequence has no match */
        if (in.left < 2) return false;
        size_t distance = (size_t)in.p[0] | (size_t)in.p[1] << 8;
        in.p += 2, in.left -= 2;
        if (out_n - at < 4 || !take_length(&in, token & 15, out_n - at - 4, &length)) return false;
        if (!distance || distance > at) return false;
        for (length += 4; length; length--, at++) out[at] = out[at - distance];
    }
    return false;
}
