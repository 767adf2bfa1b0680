/* doorbell.h, statement by statement. To the right of each stands what it is in C.
 *
 * A compare-and-swap may also fail for no reason (…_weak); then it is tried again from the same
 * state, which adds nothing here.
 */
byte sleepers; /* doorbell.sleepers */
byte rings;    /* the counter of the eventfd */

inline doorbell_arm(seen)
{
#ifdef ARM_IN_TWO_STEPS
    seen = sleepers;
    sleepers = seen + 1;
    seen = 0
#else
    sleepers++                                                /* atomic_fetch_add_explicit(… 1, … */
#endif
}

inline doorbell_disarm(seen, disarmed)
{
    seen = sleepers;                                          /* atomic_load_explicit(… relaxed) */
    do
    :: seen == 0 -> disarmed = false; break                   /* return false; */
    :: else ->
        atomic {                                              /* atomic_compare_exchange_weak… */
            if
            :: sleepers == seen -> sleepers = seen - 1; disarmed = true; seen = 0; break
            :: else -> seen = sleepers
            fi
        }
    od
}

/* Two halves, since a mutation takes the look before the publication. */
inline doorbell_ring_look(seen)
{
    seen = sleepers                                           /* atomic_fetch_add_explicit(… 0, … */
}

inline doorbell_ring_after_look(seen)
{
    do
    :: seen == 0 -> break                                     /* return false; */
    :: else ->
        atomic {                                              /* atomic_compare_exchange_weak… */
            if
            :: sleepers == seen -> sleepers = seen - 1
            :: else -> seen = sleepers; goto_again = true
            fi
        }
        if
        :: goto_again -> goto_again = false
        :: else -> rings++; seen = 0; break                   /* write(doorbell->ring_fd, … */
        fi
    od
}

inline doorbell_ring(seen)
{
    doorbell_ring_look(seen);
    doorbell_ring_after_look(seen)
}

/* Blocking, and a semaphore: one ring for one sleeper. */
inline doorbell_wait()
{
    atomic { rings > 0 -> rings-- }                           /* read(doorbell->fd, … */
}

/* Not blocking, and no semaphore: takes all, if there is any. */
inline doorbell_take_rings()
{
    rings = 0                                                 /* read(doorbell->fd, … */
}

inline doorbell_leave(seen, disarmed)
{
    doorbell_disarm(seen, disarmed);                          /* if (!doorbell_disarm(doorbell)) */
    if
    :: disarmed
    :: else -> doorbell_wait()                                /*     doorbell_wait(doorbell); */
    fi
}
