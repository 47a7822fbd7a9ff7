#include "program/program.h"
int command_new(const struct options *o)
{
    (void)o;
    return STATUS_FAILED;
}
