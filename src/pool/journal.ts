/**
 * Who is told of what is to last. Each is told when the change is complete, once per verb and id; `KeyPool.record` then
 * says what is known of the id. A lease or a cooling that ends at its deadline is not told: its record says when it ends.
 * Must neither throw nor call verbs of the pool.
 */
export interface Journal {
  /** A verb changed what is known of this id. */
  changed(id: string): void
  /** The key's life ended at its deadline: it is retired, and nobody asked for it. */
  aged(id: string): void
}
