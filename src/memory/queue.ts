/** A member's place in its queue, by which it is removed. */
export interface Place<T> {
  readonly value: T
  /** Undefined once it was removed. */
  queue: Queue<T> | undefined
  previous: Place<T> | undefined
  next: Place<T> | undefined
}

/**
 * First in, first out, with removal from anywhere: a doubly linked list, all O(1). V8's Map and Set keep an order too, but
 * leave a hole for what was removed and walk over the holes to find their first member.
 */
export class Queue<T> {
  #first: Place<T> | undefined
  #last: Place<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first?.value
  }

  push(value: T): Place<T> {
    const place: Place<T> = { value, queue: this, previous: this.#last, next: undefined }
    if (this.#last === undefined) this.#first = place
    else this.#last.next = place
    this.#last = place
    this.#size++
    return place
  }

  /** Removes the first. */
  shift(): void {
    if (this.#first !== undefined) this.remove(this.#first)
  }

  /** Does nothing where the place is not, or no longer, one of this queue. */
  remove(place: Place<T>): void {
    if (place.queue !== this) return
    if (place.previous === undefined) this.#first = place.next
    else place.previous.next = place.next
    if (place.next === undefined) this.#last = place.previous
    else place.next.previous = place.previous
    place.queue = undefined
    this.#size--
  }
}
