# A shell that waits a quarter of an hour for a command ends.
TMOUT=900
readonly TMOUT
export TMOUT
