/* What a port is made of, for port.c and for drivers whose ports have more than a queue. */
#pragma once
#include "driver.h"

struct asyncuring_port {
    struct queue completions; /* producers: the driver's threads; consumer: the loop */
    struct doorbell doorbell;
    asyncuring_driver *driver;
    asyncuring_op *staging;
    char **addresses;
    asyncuring_port *next_idle;
    unsigned index;
    unsigned depth;
    struct spin spin;
    void *own;  /* of the driver's kind, if its ports have more than this */
    bool armed; /* the loop's own memory of having armed the doorbell */
};
