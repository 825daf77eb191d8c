import t from 'tap'
import type { Clock } from '../../src/clock.ts'
import { DelayedVerbs } from '../../src/memory/delayed-verbs.ts'
import { Turns } from '../../src/memory/turns.ts'
import { ManualClock } from '../support/manual-clock.ts'

const PER_TURN = 64

/** Turns of the event loop that come when the test says so. */
function createTurns() {
  const asked: (() => void)[] = []
  const manual = new ManualClock()
  const clock: Clock = {
    now: manual.now,
    after: (delayMs, callback) => manual.after(delayMs, callback),
    soon: callback => asked.push(callback)
  }
  const faults: unknown[] = []
  const turns = new Turns(clock, error => void faults.push(error))
  const turn = () => {
    for (const callback of asked.splice(0)) callback()
  }
  return { turns, turn, faults, asked }
}

t.test('a turn has something to give until it is used up, and so has the next', async t => {
  const { turns, turn, asked } = createTurns()
  t.equal(turns.isOver, false)
  for (let i = 0; i < PER_TURN; i++) {
    t.equal(turns.isOver, false)
    turns.take(1)
  }
  t.equal(turns.isOver, true)
  t.equal(asked.length, 1)
  turn()
  t.equal(turns.isOver, false)
  t.equal(asked.length, 0, 'nothing is done where nothing is asked')
  turns.take(1000)
  t.equal(turns.isOver, true)
  turn()
  t.equal(turns.isOver, false)
})

t.test('those who go on take turns', async t => {
  const { turns, turn } = createTurns()
  const calls: string[] = []
  const greedy = () => {
    calls.push('greedy')
    turns.take(PER_TURN)
    turns.next(greedy)
  }
  const modest = () => {
    calls.push('modest')
    turns.take(1)
  }
  for (const goOn of [greedy, modest, greedy]) turns.next(goOn)
  for (let i = 0; i < 3; i++) turn()
  t.strictSame(calls, ['greedy', 'modest', 'greedy', 'greedy'])
})

t.test('a fault is reported, and the others go on', async t => {
  const { turns, turn, faults } = createTurns()
  const calls: string[] = []
  turns.next(() => {
    throw new Error('broken')
  })
  turns.next(() => calls.push('other'))
  turn()
  t.match(faults, [{ message: 'broken' }])
  t.strictSame(calls, ['other'])
})

t.test('verbs that wait go on in order, a few per turn', async t => {
  const { turns, turn } = createTurns()
  const run: number[] = []
  const verbs: DelayedVerbs = new DelayedVerbs(turns, () => verbs.go(undefined))
  const answers = Array.from({ length: 10 }, (_, i) => verbs.add(() => run.push(i)))
  verbs.go(undefined)
  t.strictSame(run, [0, 1, 2, 3])
  turn()
  t.strictSame(run, [0, 1, 2, 3, 4, 5, 6, 7])
  turn()
  t.strictSame(await Promise.all(answers), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.equal(verbs.size, 0)
})

t.test('a verb that is still behind keeps its place', async t => {
  const { turns } = createTurns()
  const verbs = new DelayedVerbs(turns, () => undefined)
  let behind = true
  const run: string[] = []
  const answers = [verbs.add(() => (behind ? 'behind' : run.push('first'))), verbs.add(() => run.push('second'))]
  verbs.go(undefined)
  t.strictSame([run, verbs.size], [[], 2])
  behind = false
  verbs.go(undefined)
  await Promise.all(answers)
  t.strictSame(run, ['first', 'second'])
})

t.test('a verb that fails fails for its caller only', async t => {
  const { turns } = createTurns()
  const verbs = new DelayedVerbs(turns, () => undefined)
  const fails = verbs.add((): string => {
    throw new Error('broken')
  })
  const answer = verbs.add(() => 'done')
  verbs.go(undefined)
  await t.rejects(Promise.resolve(fails), { message: 'broken' })
  t.equal(await answer, 'done')
})
