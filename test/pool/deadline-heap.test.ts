import fc from 'fast-check'
import t from 'tap'
import { Int32Column } from '../../src/pool/column.ts'
import { DeadlineHeap } from '../../src/pool/deadline-heap.ts'

function drain(heap: DeadlineHeap, now: number): number[] {
  const slots: number[] = []
  for (let slot = heap.takeDue(now); slot !== undefined; slot = heap.takeDue(now)) if (slot !== -1) slots.push(slot)
  return slots
}

t.test('an empty heap has nothing due, ever', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  t.equal(heap.size, 0)
  t.equal(heap.next, Infinity)
  t.equal(heap.first, undefined)
  t.equal(heap.takeDue(Infinity), undefined)
  t.doesNotThrow(() => heap.forget(3))
})

t.test('a slot surfaces at its instant, not before, and once', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  heap.arm(5, 1000)
  t.equal(heap.takeDue(999), undefined)
  t.equal(heap.takeDue(1000), 5)
  t.equal(heap.takeDue(1000), undefined)
  t.equal(heap.size, 0)
})

t.test('slots surface in the order of their instants', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  for (const [slot, at] of [30, 10, 50, 20, 40].entries()) heap.arm(slot, at)
  t.equal(heap.next, 10)
  t.equal(heap.first, 1)
  t.strictSame(drain(heap, 40), [1, 3, 0, 4])
  t.equal(heap.next, 50)
  t.strictSame(drain(heap, 50), [2])
})

t.test('a deadline that moves later surfaces at the old instant, and needs no second entry', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  heap.arm(0, 100)
  heap.arm(0, 200)
  heap.arm(0, 100)
  t.equal(heap.size, 1)
  t.equal(heap.takeDue(100), 0)
  t.equal(heap.takeDue(200), undefined, 'whoever takes it off arms it anew')
})

t.test('a deadline that moves earlier surfaces at the new instant, and its slot once', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  for (let slot = 1; slot < 9; slot++) heap.arm(slot, 1000)
  heap.arm(0, 200)
  heap.arm(0, 100)
  t.equal(heap.first, 0)
  t.equal(heap.takeDue(99), undefined)
  t.equal(heap.takeDue(100), 0)
  t.strictSame(drain(heap, 999), [], 'the entry left behind is an orphan')
  t.equal(drain(heap, 1000).length, 8)
})

t.test('a forgotten slot does not surface, and is not taken for the next key in it', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  for (let slot = 1; slot < 9; slot++) heap.arm(slot, 1000)
  heap.arm(0, 100)
  heap.forget(0)
  heap.forget(0)
  t.equal(heap.first, -1, 'its entry is an orphan')
  heap.arm(0, 500)
  t.equal(heap.takeDue(100), -1)
  t.equal(heap.takeDue(499), undefined)
  t.equal(heap.takeDue(500), 0)
})

t.test('a slot whose entry is late, armed or postponed so, surfaces earlier where it is armed so', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  heap.arm(0, 1000)
  heap.arm(1, 900)
  heap.arm(0, 950)
  t.strictSame(drain(heap, 949), [1])
  t.strictSame(drain(heap, 950), [0])

  heap.arm(2, 2000)
  heap.postpone(500)
  heap.arm(2, 2300)
  t.strictSame(drain(heap, 2299), [])
  t.strictSame(drain(heap, 2300), [2])
})

t.test('a million arms of the same slots leave one entry for each', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  for (let at = 0; at < 1_000_000; at++) heap.arm(at % 10, at)
  t.equal(heap.size, 10)
})

t.test('orphans that would surface last are dropped when those before them have been taken', async t => {
  const heap = new DeadlineHeap(new Int32Column())
  for (let slot = 0; slot < 1000; slot++) heap.arm(slot, slot < 800 ? 100 : 1e12)
  for (let slot = 800; slot < 1000; slot++) heap.forget(slot)
  let most = 0
  for (let left = 800; heap.takeDue(100) !== undefined; left--) most = Math.max(most, heap.size - 2 * (left - 1))
  t.ok(most <= 0)
  t.equal(heap.size, 0)
})

/** What a heap should hold: the entry's instant by slot. What it still holds beside that are orphans. */
class Twin {
  readonly entries = new Map<number, number>()

  arm(slot: number, at: number): void {
    this.entries.set(slot, Math.min(at, this.entries.get(slot) ?? Infinity))
  }

  get next(): number {
    return Math.min(Infinity, ...this.entries.values())
  }
}

const SLOTS = 60
const slot = fc.nat(SLOTS - 1)
const from = slot
const many = fc.integer({ min: 1, max: SLOTS })
const ms = fc.nat(50)
const step = fc.oneof(
  fc.record({ verb: fc.constant('arm' as const), slot, ms }),
  {
    weight: 3,
    arbitrary: fc.record({ verb: fc.constant('earlier' as const), slot, by: fc.integer({ min: 1, max: 9 }) })
  },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('forget' as const), slot }) },
  fc.record({ verb: fc.constant('take' as const) }),
  // In bulk, so that orphans pile up and the queue is compacted on the way.
  fc.record({ verb: fc.constant('arm many' as const), from, many, ms, slope: fc.integer({ min: -2, max: 2 }) }),
  fc.record({ verb: fc.constant('earlier many' as const), from, many, by: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ verb: fc.constant('forget many' as const), from, many }),
  fc.record({ verb: fc.constant('take due' as const), ms: fc.nat(30) }),
  fc.record({ verb: fc.constant('take to the next' as const), before: fc.boolean() })
)

t.test('a heap holds what a plain list holds, in order and within twice its size', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
      const heap = new DeadlineHeap(new Int32Column())
      const twin = new Twin()
      let now = 1_000_000

      const check = (): void => {
        const owned = twin.entries.size
        if (heap.size < owned || heap.size > 2 * owned) throw new Error(`${heap.size} entries for ${owned} slots`)
        if (heap.next > twin.next) throw new Error(`next is ${heap.next}, too late for ${twin.next}`)
        const first = heap.first
        if ((first === undefined) !== (heap.size === 0)) throw new Error('first disagrees with size')
        if (first !== undefined && first !== -1 && twin.entries.get(first) !== heap.next)
          throw new Error(`first is ${first}, at ${twin.entries.get(first)} and not ${heap.next}`)
      }
      const arm = (slot: number, at: number): void => {
        heap.arm(slot, at)
        twin.arm(slot, at)
        check()
      }
      const earlier = (slot: number, by: number): void => arm(slot, (twin.entries.get(slot) ?? now + 50) - by)
      const forget = (slot: number): void => {
        heap.forget(slot)
        twin.entries.delete(slot)
        check()
      }
      const take = (): boolean => {
        const { next, first } = heap
        const taken = heap.takeDue(now)
        if (taken === undefined) {
          if (twin.next <= now) throw new Error(`nothing was due at ${now}, but ${twin.next} has passed`)
          if (next <= now) throw new Error('an entry that was due was not taken')
          return false
        }
        if (taken !== first || next > now) throw new Error(`took ${taken} at ${next}, and not ${first}`)
        if (taken !== -1) {
          if (twin.entries.get(taken) !== twin.next) throw new Error(`${taken} was not the earliest`)
          twin.entries.delete(taken)
        }
        check()
        return true
      }
      const each = (from: number, many: number, apply: (slot: number, i: number) => void): void => {
        for (let i = 0; i < many; i++) apply((from + i) % SLOTS, i)
      }

      for (const step of steps) {
        if (step.verb === 'arm') arm(step.slot, now + step.ms)
        else if (step.verb === 'earlier') earlier(step.slot, step.by)
        else if (step.verb === 'forget') forget(step.slot)
        else if (step.verb === 'take') take()
        else if (step.verb === 'arm many')
          each(step.from, step.many, (slot, i) => arm(slot, now + step.ms + i * step.slope))
        else if (step.verb === 'earlier many') each(step.from, step.many, slot => earlier(slot, step.by))
        else if (step.verb === 'forget many') each(step.from, step.many, forget)
        else {
          if (step.verb === 'take due') now += step.ms
          else if (twin.next !== Infinity) now = Math.max(now, twin.next - (step.before ? 1 : 0))
          while (take());
        }
      }
      now = Number.MAX_SAFE_INTEGER
      while (take());
      if (heap.size !== 0) throw new Error(`${heap.size} entries are left`)
    }),
    { numRuns: 1000 }
  )
})
