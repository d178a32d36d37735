/* What is known of a part file: which pieces are there, and their checksums. */
#ifndef IG_HUB_JOURNAL_H
#define IG_HUB_JOURNAL_H

#include "base/status.h"
#include "base/str.h"
#include "os/part.h"

enum { IG_PIECE = 1 << 20, IG_MAX_PIECES = 1 << 20 };

enum ig_piece_state { IG_PIECE_MISSING, IG_PIECE_TAKEN, IG_PIECE_OLD, IG_PIECE_DONE };

struct ig_journal {
    struct ig_mem *mem;
    struct ig_part *file; /* NULL until opened */
    uint64_t at;          /* where the next line goes */
    int64_t size;         /* of the file that is loaded; -1 = unknown, then there are no pieces */
    size_t pieces;
    uint8_t *state;    /* [pieces], ig_piece_state */
    uint64_t *sum;     /* [pieces], valid for OLD and DONE */
    struct ig_buf oid; /* the source's name for this content, may be empty */
};

void ig_journal_begin(struct ig_journal *j, struct ig_mem *mem);
void ig_journal_end(struct ig_journal *j);
/* Reads a journal's text. false: it is none, or damaged in its head; damaged lines further on are
 * left out. */
bool ig_journal_parse(struct ig_journal *j, struct ig_str text);
/* Sets the size and forgets all pieces. */
ingle_status ig_journal_size(struct ig_journal *j, int64_t size, ingle_error *err);
/* Opens the file at `path` and reads what it holds into `j`; a damaged one counts as empty (size
 * -1). */
ingle_status ig_journal_open(struct ig_journal *j, const char *path, ingle_error *err);
/* How many bytes the journal at `path` says are there; 0 if there is none. Safe while another
 * program writes it. */
int64_t ig_journal_peek(struct ig_mem *mem, const char *path);
/* Writes the head and the pieces that are OLD or DONE anew. */
ingle_status ig_journal_rewrite(struct ig_journal *j, ingle_error *err);
/* Marks a piece as done and notes it in the file. */
ingle_status ig_journal_done(struct ig_journal *j, size_t piece, uint64_t sum, ingle_error *err);
/* Bytes of piece `i`: IG_PIECE but for the last. */
size_t ig_journal_bytes(const struct ig_journal *j, size_t i);
uint64_t ig_journal_sum(const void *p, size_t n);

#endif
