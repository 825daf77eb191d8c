import t from 'tap'
import type { Refusal } from '../../src/engine.ts'
import { byNow } from '../support/create-engine.ts'
import { createResultsByLook, retry } from '../support/kept-results.ts'

const REFUSED: Refusal = { refusal: 'unknown-pool' }

t.test('a retry gets the result of the first call', async t => {
  const { call, calls } = createResultsByLook()
  t.equal(call('a', 'one'), 'one')
  t.equal(call('a', 'two'), 'one again')
  t.equal(call('a', 'three'), 'one again')
  t.equal(calls(), 1)
  t.equal(call('b', 'four'), 'four')
})

t.test('the same name for a different request is refused', async t => {
  const { call, calls } = createResultsByLook()
  call('a', 'one')
  t.strictSame(call('a', 'two', 'different'), { refusal: 'idempotency-key-reused' })
  t.equal(call('a', 'two'), 'one again')
  t.equal(calls(), 1)
})

t.test('what has ended is run anew, also for a different request', async t => {
  const { call, ended, results } = createResultsByLook()
  call('a', 'one')
  ended.add('one')
  t.equal(call('a', 'two', 'different'), 'two')
  t.equal(call('a', 'three', 'different'), 'two again')
  t.equal(results.size, 1)
})

t.test('a result that can not be given again is run anew', async t => {
  const { retries, results } = createResultsByLook({ again: () => null })
  t.equal(
    retries.once(retry('a'), () => 'one'),
    'one'
  )
  t.equal(
    retries.once(retry('a'), () => 'two'),
    'two'
  )
  t.equal(results.size, 1)
})

t.test('refusals are not kept', async t => {
  const { retries, results, call } = createResultsByLook()
  t.strictSame(
    retries.once(retry('a'), (): string | Refusal => REFUSED),
    REFUSED
  )
  t.strictSame(await retries.once(retry('a'), async (): Promise<string | Refusal> => REFUSED), REFUSED)
  t.equal(results.size, 0)
  t.equal(call('a', 'one', 'different'), 'one')
})

t.test('a call that fails is not kept', async t => {
  const { retries, results, call } = createResultsByLook()
  const fails = (): string => {
    throw new Error('broken')
  }
  t.throws(() => retries.once(retry('a'), fails), { message: 'broken' })
  const answers = [1, 2].map(async () => retries.once(retry('b'), async () => fails()))
  for (const answer of answers) await t.rejects(answer, { message: 'broken' })
  t.equal(results.size, 0)
  t.equal(call('a', 'one'), 'one')
  t.equal(call('b', 'two'), 'two')
})

t.test('a retry joins a call that still runs', async t => {
  const { retries } = createResultsByLook()
  let finish: (answer: string) => void = () => undefined
  let calls = 0
  const call = (fingerprint?: string) =>
    retries.once(retry('a', fingerprint), () => {
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
  const { retries } = createResultsByLook()
  const controllers = [new AbortController(), new AbortController()]
  let given: AbortSignal | undefined
  const call = (signal?: AbortSignal) =>
    retries.once(
      retry('a'),
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
  const { retries } = createResultsByLook()
  const controller = new AbortController()
  let given: AbortSignal | undefined
  const call = (signal?: AbortSignal) =>
    retries.once(
      retry('a'),
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

t.test('after the end nothing is kept any more', async t => {
  const { retries, results, call } = createResultsByLook()
  call('a', 'one')
  retries.close()
  t.equal(call('b', 'two'), 'two')
  t.equal(await retries.once(retry('c'), async () => 'three'), 'three')
  t.equal(results.size, 1)
})
