#include "nic.h"
int main(void){return 0;}
