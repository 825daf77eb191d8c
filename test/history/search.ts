// Whether some order of calls explains their answers: Herlihy and Wing's linearizability (TOPLAS 12(3), 1990), found by the
// search of Wing and Gong (Testing and Verifying Concurrent Objects, JPDC 17, 1993) with the memo of seen configurations of
// Lowe (Testing for Linearizability, CCPE 29(4), 2017).

/** A call that was answered, and the time within which it happened. */
export interface Timed {
  start: number
  end: number
}

/** What things do one after the other; nothing in a state changes. */
export interface SequentialModel<Op extends Timed, Lost extends { start: number }, State> {
  initial: State
  /** The same for the same states only. */
  nameOf(state: State): string
  /** The states after an answered call, none where its answer is wrong; `latest` is the latest instant at which it happens. */
  after(state: State, op: Op, latest: number): State[]
  /** What may happen by itself until `latest`. */
  byItself(state: State, latest: number): State[]
  /** The state after a call that was not answered, which happens between its start and `latest`. */
  afterLost(state: State, lost: Lost, latest: number): State
}

export interface Search {
  verdict: 'explained' | 'wrong' | 'undecided'
  /** Of those in the order of their starts, how many are explained before the first that no order explains. */
  explained: number
}

/** Which lost calls have happened, and what things have come to. */
interface Happened<State> {
  used: readonly number[]
  state: State
}

/** Besides: all calls before `next` and those at `beyond` have happened. */
interface Configuration<State> extends Happened<State> {
  next: number
  beyond: readonly number[]
}

/** How many lost calls and ends by themselves may stand between two answered calls. */
const UNSEEN_AT_ONCE = 3

/**
 * Looks for an order of all `ops`, by start, and of any of `lost`. A call that changes nothing where it stands is put there
 * without a look at other orders. What is not told of, lost calls and what happens by itself, is put off until an answer
 * would be wrong without it: whoever has seen nothing of it allows it later as well.
 */
export function search<Op extends Timed, Lost extends { start: number }, State>(
  model: SequentialModel<Op, Lost, State>,
  ops: readonly Op[],
  lost: readonly Lost[],
  limit = 1_000_000
): Search {
  const stack: Configuration<State>[] = [{ next: 0, beyond: [], used: [], state: model.initial }]
  const seen = new Set<string>()
  let explained = 0
  for (let present = stack.pop(); present !== undefined; present = stack.pop()) {
    explained = Math.max(explained, present.next)
    if (present.next === ops.length) return { verdict: 'explained', explained }
    const name = `${present.next};${present.beyond};${present.used};${model.nameOf(present.state)}`
    if (seen.has(name)) continue
    if (seen.size === limit) return { verdict: 'undecided', explained }
    seen.add(name)
    stack.push(...following(present).reverse())
  }
  return { verdict: 'wrong', explained }

  function following(present: Configuration<State>): Configuration<State>[] {
    const { candidates, latest } = candidatesOf(present)
    const seenByAnswers: Configuration<State>[] = []
    const withUnseen: Configuration<State>[] = []
    let prepared: ReturnType<typeof unseen> | undefined
    for (const index of candidates) {
      const op = ops[index] as Op
      const states = model.after(present.state, op, latest)
      const unchanged = states.find(state => model.nameOf(state) === model.nameOf(present.state))
      if (unchanged !== undefined) return [advance(present, index, unchanged, present.used)]
      for (const state of states) seenByAnswers.push(advance(present, index, state, present.used))
      if (states.length > 0) continue
      prepared ??= unseen(present, latest)
      for (const { used, state } of prepared) {
        for (const after of model.after(state, op, latest)) withUnseen.push(advance(present, index, after, used))
      }
    }
    return [...seenByAnswers, ...withUnseen]
  }

  /** The calls that may be the next: none of the others had ended before they began. */
  function candidatesOf({ next, beyond }: Configuration<State>): { candidates: number[]; latest: number } {
    const candidates: number[] = []
    let latest = Infinity
    for (let index = next; index < ops.length; index++) {
      const { start, end } = ops[index] as Op
      if (start > latest) break
      if (beyond.includes(index)) continue
      candidates.push(index)
      latest = Math.min(latest, end)
    }
    return { candidates: candidates.filter(index => (ops[index] as Op).start <= latest), latest }
  }

  /** All that may be the state after a few things that nobody was told of. */
  function unseen(present: Configuration<State>, latest: number): Happened<State>[] {
    const known = new Set([`${present.used};${model.nameOf(present.state)}`])
    const found: Happened<State>[] = []
    let newest: Happened<State>[] = [present]
    for (let depth = 0; depth < UNSEEN_AT_ONCE; depth++) {
      newest = newest
        .flatMap(happened => afterOne(happened, latest))
        .filter(({ used, state }) => {
          const name = `${used};${model.nameOf(state)}`
          return !known.has(name) && known.add(name)
        })
      found.push(...newest)
    }
    return found
  }

  /** After one thing more; a lost call that would change nothing is not used up. */
  function afterOne({ used, state }: Happened<State>, latest: number): Happened<State>[] {
    const found = model.byItself(state, latest).map(after => ({ used, state: after }))
    for (const [index, call] of lost.entries()) {
      if (call.start > latest || used.includes(index)) continue
      const after = model.afterLost(state, call, latest)
      if (model.nameOf(after) === model.nameOf(state)) continue
      found.push({ used: [...used, index].sort((a, b) => a - b), state: after })
    }
    return found
  }

  function advance(
    { next, beyond }: Configuration<State>,
    index: number,
    state: State,
    used: readonly number[]
  ): Configuration<State> {
    const done = [...beyond, index].sort((a, b) => a - b)
    while (done[0] === next) {
      done.shift()
      next++
    }
    return { next, beyond: done, used, state }
  }
}
