// Files of a test in the folder for temporary ones (TMPDIR, else /tmp), of this process alone.
#ifndef MERIT_TESTS_SCRATCH_H
#define MERIT_TESTS_SCRATCH_H

enum { SCRATCH_PATH = 256 };

// The path of a file that is not there: named after the process and a running number.
void scratch_path(char path[SCRATCH_PATH]);

// Makes an empty folder of such a name; 0 when it is there.
int scratch_folder(char path[SCRATCH_PATH]);

#endif
