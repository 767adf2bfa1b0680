/* queue.h, statement by statement. To the right of each stands what it is in C.
 *
 * A model checker interleaves single statements, all of which see one memory. So this is the queue
 * on a sequentially consistent machine; see README.md for what covers the weaker ones.
 */
#define CELL(position) ((position) % CAPACITY)
#define PRODUCER_TURN(position) (((position) / CAPACITY) * 2) /* queue_producer_turn */

byte tail;           /* queue.tail */
byte head;           /* queue.head; the consumer's */
byte turn[CAPACITY]; /* queue_cell.turn; zeroed memory is an empty queue */
byte item[CAPACITY]; /* queue_cell.item */

/* The cells are the caller's from here on. */
inline queue_claim(position, count)
{
    atomic { position = tail; tail = tail + count } /* atomic_fetch_add_explicit(&queue->tail, … */
}

/* One cell. Needs no second look at the turn: nobody but its owner changes it. */
inline queue_publish(position, value)
{
    assert(turn[CELL(position)] == PRODUCER_TURN(position));  /* … != turn) { … abort(); */
    item[CELL(position)] = value;                             /* memcpy(cell->item, … */
    turn[CELL(position)] = PRODUCER_TURN(position) + 1;       /* atomic_store_explicit(… turn + 1 */
}

/* queue_front(queue) != NULL */
#define QUEUE_HAS_FRONT (turn[CELL(head)] == PRODUCER_TURN(head) + 1)

#define QUEUE_FRONT item[CELL(head)] /* *(type *)queue_front(queue) */

inline queue_pop()
{
    turn[CELL(head)] = PRODUCER_TURN(head) + 2;               /* atomic_store_explicit(… next_turn */
    head++                                                    /* queue->head++ */
}
