import t from 'tap'
import type { Refusal, Retry } from '../../src/engine.ts'
import { type Replay, Retries } from '../../src/memory/retries.ts'
import { byNow } from '../support/create-engine.ts'

const REFUSED: Refusal = { refusal: 'unknown-pool' }

const retry = (scope: string, fingerprint = 'the same'): Retry => ({ scope, fingerprint })

/** Results are the answers themselves; those in `ended` have ended. */
function createRetries(limit?: number) {
  const ended = new Set<string>()
  const retries = new Retries<string>(result => ended.has(result), limit)
  const replay: Replay<string, string> = {
    keep: answer => ({ result: answer, weight: 1 }),
    again: result => `${result} again`
  }
  let calls = 0
  const call = (scope: string, answer: string, fingerprint?: string) =>
    retries.once<string>(retry(scope, fingerprint), replay, () => {
      calls++
      return answer
    })
  return { retries, replay, ended, call, calls: () => calls }
}

t.test('a retry gets the result of the first call', async t => {
  const { call, calls } = createRetries()
  t.equal(call('a', 'one'), 'one')
  t.equal(call('a', 'two'), 'one again')
  t.equal(call('a', 'three'), 'one again')
  t.equal(calls(), 1)
  t.equal(call('b', 'four'), 'four')
})

t.test('the same name for a different request is refused', async t => {
  const { call, calls } = createRetries()
  call('a', 'one')
  t.strictSame(call('a', 'two', 'different'), { refusal: 'idempotency-key-reused' })
  t.equal(call('a', 'two'), 'one again')
  t.equal(calls(), 1)
})

t.test('what has ended is run anew, also for a different request', async t => {
  const { call, ended, retries } = createRetries()
  call('a', 'one')
  ended.add('one')
  t.equal(call('a', 'two', 'different'), 'two')
  t.equal(call('a', 'three', 'different'), 'two again')
  t.equal(retries.size, 1)
})

t.test('a result that can not be given again is run anew', async t => {
  const { retries, replay } = createRetries()
  const gone: Replay<string, string> = { ...replay, again: () => null }
  t.equal(
    retries.once<string>(retry('a'), gone, () => 'one'),
    'one'
  )
  t.equal(
    retries.once<string>(retry('a'), gone, () => 'two'),
    'two'
  )
  t.equal(retries.size, 1)
})

t.test('refusals are not kept', async t => {
  const { retries, replay, call } = createRetries()
  t.strictSame(
    retries.once<string | Refusal>(retry('a'), replay, () => REFUSED),
    REFUSED
  )
  t.strictSame(await retries.once<string | Refusal>(retry('a'), replay, async () => REFUSED), REFUSED)
  t.equal(retries.size, 0)
  t.equal(call('a', 'one', 'different'), 'one')
})

t.test('a call that fails is not kept', async t => {
  const { retries, replay, call } = createRetries()
  const fails = (): string => {
    throw new Error('broken')
  }
  t.throws(() => retries.once<string>(retry('a'), replay, fails), { message: 'broken' })
  const answers = [1, 2].map(async () => retries.once<string>(retry('b'), replay, async () => fails()))
  for (const answer of answers) await t.rejects(answer, { message: 'broken' })
  t.equal(retries.size, 0)
  t.equal(call('a', 'one'), 'one')
  t.equal(call('b', 'two'), 'two')
})

t.test('a retry joins a call that still runs', async t => {
  const { retries, replay } = createRetries()
  let finish: (answer: string) => void = () => undefined
  let calls = 0
  const call = (fingerprint?: string) =>
    retries.once<string>(retry('a', fingerprint), replay, () => {
      calls++
      return new Promise<string>(resolve => (finish = resolve))
    })
  const answers = [call(), call(), call()]
  t.strictSame(call('different'), { refusal: 'idempotency-key-reused' })
  t.equal(await byNow(answers[0] as Promise<string>), 'pending')
  finish('one')
  t.strictSame(await Promise.all(answers), ['one', 'one', 'one'])
  t.equal(calls, 1)
  t.equal(await call(), 'one again')
})

t.test('a call is given up when all who wait for it have left', async t => {
  const { retries, replay } = createRetries()
  const controllers = [new AbortController(), new AbortController()]
  let given: AbortSignal | undefined
  const call = (signal?: AbortSignal) =>
    retries.once<string>(
      retry('a'),
      replay,
      shared => {
        given = shared
        return new Promise<string>(resolve => shared.addEventListener('abort', () => resolve('given up')))
      },
      signal
    )
  const answers = controllers.map(({ signal }) => call(signal))
  controllers[0]?.abort()
  t.equal(given?.aborted, false)
  controllers[1]?.abort()
  t.equal(given?.aborted, true)
  t.strictSame(await Promise.all(answers), ['given up', 'given up'])
})

t.test('whoever can not leave keeps a call going', async t => {
  const { retries, replay } = createRetries()
  const controller = new AbortController()
  let given: AbortSignal | undefined
  const call = (signal?: AbortSignal) =>
    retries.once<string>(
      retry('a'),
      replay,
      shared => {
        given = shared
        return new Promise<string>(() => undefined)
      },
      signal
    )
  void call(controller.signal)
  void call()
  controller.abort()
  t.equal(given?.aborted, false)
})

t.test('beyond the limit older results go', async t => {
  const { call, retries } = createRetries(3)
  for (const scope of ['a', 'b', 'c', 'd', 'e']) {
    call(scope, scope)
    t.equal(call(scope, 'anew'), `${scope} again`, 'the newest is kept')
    t.ok(retries.size <= 3)
  }
  t.equal(retries.size, 3)
})

t.test('the limit is one of weight', async t => {
  const retries = new Retries<string>(() => false, 10)
  const heavy: Replay<string, string> = { keep: result => ({ result, weight: 4 }), again: result => result }
  for (const scope of ['a', 'b', 'c', 'd']) retries.once<string>(retry(scope), heavy, () => scope)
  t.equal(retries.size, 2)
  const overweight: Replay<string, string> = { keep: result => ({ result, weight: 11 }), again: result => result }
  retries.once<string>(retry('e'), overweight, () => 'e')
  t.equal(retries.size, 0)
  retries.once<string>(retry('f'), heavy, () => 'f')
  t.equal(retries.size, 1)
})

t.test('what has ended is dropped along the way: the table stays within twice what lives', async t => {
  const { call, ended, retries } = createRetries()
  const LIVING = 100
  let largest = 0
  for (let i = 0; i < 20_000; i++) {
    call(`scope-${i}`, `result-${i}`)
    if (i >= LIVING) ended.add(`result-${i - LIVING}`)
    largest = Math.max(largest, retries.size)
  }
  t.ok(largest <= 2 * LIVING + 2, `${largest}`)
  for (let i = 20_000 - LIVING; i < 20_000; i++) {
    if (call(`scope-${i}`, 'anew') !== `result-${i} again`) throw new Error(`${i} was lost`)
  }
})

t.test('after a peak the table shrinks with the calls that follow', async t => {
  const { call, ended, retries } = createRetries()
  for (let i = 0; i < 1000; i++) call(`peak-${i}`, `peak-${i}`)
  t.equal(retries.size, 1000)
  for (let i = 0; i < 1000; i++) ended.add(`peak-${i}`)
  for (let i = 0; i < 1000; i++) {
    call(`later-${i}`, `later-${i}`)
    ended.add(`later-${i}`)
  }
  t.ok(retries.size <= 4, `${retries.size}`)
})

t.test('far beyond the limit it is still the oldest that go', async t => {
  const { call, retries, calls } = createRetries(300)
  for (let i = 0; i < 1000; i++) call(`r${i}`, 'one')
  t.equal(retries.size, 300)
  for (let i = 700; i < 1000; i++) call(`r${i}`, 'two')
  t.equal(calls(), 1000, 'the newest 300 are kept')
  call('r699', 'two')
  t.equal(calls(), 1001)
})
