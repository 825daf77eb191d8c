import t from 'tap'
import type { Refusal, Refusals } from '../../src/engine.ts'
import { refusedOperation } from '../../src/http/refusals.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { createService } from '../support/create-service.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Code, invalid, refused, STATUS_OF } from '../support/problems.ts'

const COUNTS = { total: 1, free: 0, leased: 1, cooling: 0, retired: 0, waiting: 2 }
const LIST = { errors: [{ in: 'query', pointer: '/cursor' }] }

/** Each refusal of an engine, and the problem that the caller sees. */
const REFUSALS: { [R in keyof Refusals]: { refusal: Refusal<R>; code: Code; members?: object } } = {
  'bad-cursor': { refusal: { refusal: 'bad-cursor' }, code: 'invalid-request', members: LIST },
  draining: { refusal: { refusal: 'draining' }, code: 'draining' },
  forbidden: { refusal: { refusal: 'forbidden' }, code: 'forbidden' },
  'idempotency-key-reused': { refusal: { refusal: 'idempotency-key-reused' }, code: 'idempotency-key-reused' },
  'key-exists': {
    refusal: { refusal: 'key-exists', indexes: [1, 2] },
    code: 'key-exists',
    members: { indexes: [1, 2] }
  },
  'key-not-leased': { refusal: { refusal: 'key-not-leased' }, code: 'key-not-leased' },
  'key-retired': { refusal: { refusal: 'key-retired', indexes: [0] }, code: 'key-retired', members: { indexes: [0] } },
  'keyspace-exhausted': {
    refusal: { refusal: 'keyspace-exhausted', remaining: '9007199254740993' },
    code: 'keyspace-exhausted',
    members: { remaining: '9007199254740993' }
  },
  'lease-lost': { refusal: { refusal: 'lease-lost' }, code: 'lease-lost' },
  'lease-too-long': {
    refusal: { refusal: 'lease-too-long' },
    code: 'invalid-request',
    members: { errors: [{ in: 'body', pointer: '/leaseMs' }] }
  },
  'max-hold-reached': { refusal: { refusal: 'max-hold-reached' }, code: 'max-hold-reached' },
  'max-hold-too-short': {
    refusal: { refusal: 'max-hold-too-short' },
    code: 'invalid-request',
    members: { errors: [{ in: 'body', pointer: '/maxHoldMs' }] }
  },
  'no-free-key': {
    refusal: { refusal: 'no-free-key', reason: 'all-held', retryAfterMs: 5, counts: COUNTS },
    code: 'no-free-key',
    members: { reason: 'all-held', retryAfterMs: 5, counts: COUNTS }
  },
  'not-ready': { refusal: { refusal: 'not-ready' }, code: 'not-ready' },
  overloaded: { refusal: { refusal: 'overloaded' }, code: 'overloaded' },
  'policy-locked': { refusal: { refusal: 'policy-locked' }, code: 'policy-locked' },
  'pool-full': { refusal: { refusal: 'pool-full' }, code: 'pool-full' },
  'storage-unavailable': { refusal: { refusal: 'storage-unavailable' }, code: 'storage-unavailable' },
  'too-many-pools': { refusal: { refusal: 'too-many-pools' }, code: 'too-many-pools' },
  'unknown-key': { refusal: { refusal: 'unknown-key' }, code: 'unknown-key' },
  'unknown-pool': { refusal: { refusal: 'unknown-pool' }, code: 'unknown-pool' }
}

/** An engine that answers every acquire with one refusal. */
class RefusingEngine extends MemoryEngine {
  answer: Refusal = { refusal: 'draining' }

  override acquire(): never {
    // Any refusal: the routes do not ask which ones a verb may give.
    return this.answer as never
  }
}

async function createRefusing(t: Parameters<typeof createService>[0]) {
  const engine = new RefusingEngine({ clock: new ManualClock(), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  const { call } = await createService(t, { engine }, { falseEngine: true })
  return (answer: Refusal) => {
    engine.answer = answer
    return call('POST', 'leases')
  }
}

t.test('each refusal of an engine is one problem, alone and in a batch', async t => {
  const answerTo = await createRefusing(t)
  for (const { refusal, code, members = {} } of Object.values(REFUSALS)) {
    const alone = await answerTo(refusal)
    refused(t, alone, code, members)
    const inBatch = refusedOperation(refusal, alone.body.instance)
    t.equal(inBatch.status, STATUS_OF[code])
    t.strictSame(JSON.parse(JSON.stringify(inBatch.body)), alone.body)
  }
})

t.test('Retry-After is in seconds, rounded up, at least one, and absent where nothing is pending', async t => {
  const answerTo = await createRefusing(t)
  const seconds: [number | null, string | undefined][] = [
    [null, undefined],
    [0, '1'],
    [1, '1'],
    [1000, '1'],
    [1001, '2'],
    [59_999, '60'],
    [60_000, '60'],
    [86_400_000, '86400']
  ]
  for (const [retryAfterMs, header] of seconds) {
    const answer = await answerTo({ refusal: 'no-free-key', reason: 'all-held', retryAfterMs, counts: COUNTS })
    t.equal(answer.headers['retry-after'], header)
    t.equal(answer.body.retryAfterMs, retryAfterMs ?? undefined)
    t.equal('retryAfterMs' in answer.body, retryAfterMs !== null)
  }
  t.notOk((await answerTo({ refusal: 'lease-lost' })).headers['retry-after'])
})

t.test('callers that are refused together do not all come back together', async t => {
  const answerTo = await createRefusing(t)
  for (const refusal of ['overloaded', 'storage-unavailable'] as const) {
    const seconds: unknown[] = []
    for (let i = 0; i < 8; i++) seconds.push((await answerTo({ refusal })).headers['retry-after'])
    t.strictSame(seconds.sort(), ['1', '1', '2', '2', '3', '3', '4', '4'], refusal)
  }
  for (let i = 0; i < 3; i++) {
    t.equal((await answerTo({ refusal: 'draining' })).headers['retry-after'], '1', 'another server may be there')
  }
})

t.test('the reason is told in words, too', async t => {
  const answerTo = await createRefusing(t)
  const empty = await answerTo({ refusal: 'no-free-key', reason: 'pool-empty', retryAfterMs: null, counts: COUNTS })
  const held = await answerTo({ refusal: 'no-free-key', reason: 'all-held', retryAfterMs: 1, counts: COUNTS })
  t.not(empty.body.detail, held.body.detail)
  invalid(t, await answerTo({ refusal: 'lease-too-long' }), 'body', '/leaseMs')
})

t.test('who can not know whether the call was carried out is told so', async t => {
  const answerTo = await createRefusing(t)
  t.match((await answerTo({ refusal: 'storage-unavailable' })).body.detail, 'nothing was changed')
  const unsure = await answerTo({ refusal: 'storage-unavailable', unsure: true })
  refused(t, unsure, 'storage-unavailable')
  t.match(unsure.body.detail, 'may have been carried out')
})
