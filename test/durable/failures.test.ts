import t from 'tap'
import { createDurable, type DurableOfTest } from '../support/create-durable.ts'
import { generate, granted, refusalOf, turns, until } from '../support/create-engine.ts'

const POOL = 'default'
const FULL = { message: 'No space left on device' }
const RETRY_MS = 1000
const LEASE_MS = 60_000
const UNAVAILABLE = { refusal: 'storage-unavailable' }

/** The fault is gone, and the engine has seen it. */
async function mend({ store, clock, engine }: DurableOfTest): Promise<void> {
  store.fault = undefined
  await until(() => {
    clock.advance(RETRY_MS)
    return engine.readiness().length === 0
  })
}

/** What memory and disk hold of a pool: the first now, the second after a crash. */
async function agree(t: Parameters<typeof createDurable>[0] & { strictSame: Function }, durable: DurableOfTest) {
  const page = async (engine: DurableOfTest['engine']): Promise<unknown> =>
    (await granted(engine.list(POOL, { limit: 1000 }))).keys
      .map(({ id, state, lease, metadata, activatedAt }) => ({ id, state, lease: lease?.id, metadata, activatedAt }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  const { engine: later } = await durable.crash()
  t.strictSame(await page(durable.engine), await page(later))
}

t.test('what the disk refuses has not happened', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  const [a, b, c] = await generate(engine, 3)
  const lease = await granted(engine.acquire(POOL, {}))
  const others = [a, b, c].map(key => String(key?.id)).filter(id => id !== lease.keyId)
  const before = await granted(engine.pool(POOL))
  store.fault = FULL
  // All in one turn: one group.
  const answers = await Promise.all([
    engine.generate(POOL, { count: 2, metadata: null }, { scope: 'r', fingerprint: 'f' }),
    engine.importKeys(POOL, [{ key: 'from-elsewhere' }]),
    engine.acquire(POOL, {}),
    engine.release(POOL, lease.id),
    engine.delete(POOL, String(others[0])),
    engine.activate(POOL, String(others[1])),
    engine.setMetadata(POOL, String(others[1]), { a: 'b' }),
    engine.putPool('made', {}),
    engine.putPool(POOL, { leaseMs: 500 }),
    engine.batch(POOL, [{ op: 'acquire' }])
  ])
  for (const answer of answers) t.strictSame(answer, UNAVAILABLE)
  t.strictSame(await granted(engine.pool(POOL)), before)
  t.match(await engine.lease(POOL, lease.id), { id: lease.id })
  t.strictSame(await engine.pool('made'), { refusal: 'unknown-pool' })
  await mend(durable)
  await agree(t, durable)
  const again = await granted(engine.generate(POOL, { count: 2, metadata: null }, { scope: 'r', fingerprint: 'g' }))
  t.equal(again.length, 2, 'a refused call is no call that was made')
})

t.test('while it can not write it refuses changes, reads go on, and it says why', async t => {
  const durable = await createDurable(t)
  const { engine, store, told } = durable
  const [key] = await generate(engine, 1)
  store.fault = FULL
  t.strictSame(await engine.acquire(POOL, {}), UNAVAILABLE)
  const { commits } = store
  t.strictSame(engine.keepAlive(POOL, String(key?.id)), UNAVAILABLE, 'at once')
  t.strictSame(engine.deletePool(POOL), UNAVAILABLE)
  t.equal(store.commits, commits)
  t.match(engine.key(POOL, String(key?.id)), { state: 'free' })
  t.match(engine.list(POOL, { limit: 10 }), { keys: [{ state: 'free' }] })
  t.match(engine.readiness(), [/No space left on device/])
  t.match(told.at(-1), { level: 'error' })
  await mend(durable)
  t.match(told.at(-1), { level: 'info', message: /again/ })
  t.match(await engine.acquire(POOL, {}), { keyId: key?.id })
})

t.test('it tries once a second whether it can write again', async t => {
  const durable = await createDurable(t)
  const { engine, store, clock } = durable
  await generate(engine, 1)
  store.fault = FULL
  t.strictSame(await engine.acquire(POOL, {}), UNAVAILABLE)
  await turns(20)
  store.fault = undefined
  clock.advance(RETRY_MS - 1)
  await turns(20)
  t.strictSame(await engine.acquire(POOL, {}), UNAVAILABLE)
  clock.advance(1)
  await until(() => engine.readiness().length === 0)
  t.match(await engine.acquire(POOL, {}), { fence: Number })
})

t.test(
  'where the store can not be read either, callers are told at once, and memory goes back when it can',
  async t => {
    const durable = await createDurable(t)
    const { engine, store, clock } = durable
    await generate(engine, 1)
    store.fault = { ...FULL, reads: true }
    t.strictSame(await engine.acquire(POOL, {}), UNAVAILABLE)
    t.strictSame(await engine.acquire(POOL, {}), UNAVAILABLE)
    store.fault = FULL
    clock.advance(RETRY_MS)
    await until(async () => (await granted(engine.pool(POOL))).counts.free === 1)
    await mend(durable)
    await agree(t, durable)
  }
)

t.test('an engine that can not write ends all the same', async t => {
  const { engine, store } = await createDurable(t)
  store.fault = { ...FULL, reads: true }
  t.strictSame(await engine.generate(POOL, { count: 1, metadata: null }), UNAVAILABLE)
  await engine.close()
})

t.test('a change that is on disk in spite of an error has happened', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  const [key] = await generate(engine, 2)
  const { commit } = store
  store.commit = async (...of) => {
    store.commit = commit
    await commit.apply(store, of)
    throw new Error('Input/output error')
  }
  t.equal(await engine.delete(POOL, String(key?.id)), 'deleted')
  await mend(durable)
  t.match(await engine.pool(POOL), { counts: { total: 1 } })
  await agree(t, durable)
})

t.test('rows of a deleted pool leave while others write', async t => {
  const { engine, store } = await createDurable(t)
  await granted(engine.putPool('scratch', {}))
  await generate(engine, 500, 'scratch')
  const [key] = await generate(engine, 1)
  t.equal(await engine.deletePool('scratch'), 'deleted')
  for (let i = 0; i < 40; i++) {
    await Promise.all([
      engine.setMetadata(POOL, String(key?.id), { i: String(i) }),
      turns().then(() => engine.activate(POOL, String(key?.id))),
      turns(2).then(() => engine.setMetadata(POOL, String(key?.id), { i: '' }))
    ])
  }
  t.ok(Number(store.head?.count) < 10, `${store.head?.count} rows`)
})

t.test('who waits is refused, and no key is spent on them', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  const waiting = Promise.resolve(engine.acquire(POOL, { waitMs: 30_000 }))
  store.fault = FULL
  t.strictSame(await engine.release(POOL, lease.id), UNAVAILABLE)
  t.strictSame(await waiting, UNAVAILABLE)
  t.match(await engine.lease(POOL, lease.id), { id: lease.id })
  await mend(durable)
  const next = Promise.resolve(engine.acquire(POOL, { waitMs: 30_000 }))
  t.equal(await engine.release(POOL, lease.id), 'released')
  t.match(await next, { keyId: lease.keyId })
  await agree(t, durable)
})

t.test('deadlines go on while it can not write', async t => {
  const durable = await createDurable(t)
  const { engine, store, clock } = durable
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  store.fault = FULL
  t.strictSame(await engine.renew(POOL, lease.id, { keepAlive: true }), { refusal: 'max-hold-reached' })
  clock.advance(1)
  t.strictSame(await engine.keepAlive(POOL, lease.keyId), UNAVAILABLE)
  clock.advance(LEASE_MS)
  t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
  clock.advance(4 * LEASE_MS)
  t.match(await engine.pool(POOL), { counts: { total: 0, retired: 1 } })
  await mend(durable)
  await until(async () => {
    const { engine: later } = await durable.crash()
    return (await granted(later.pool(POOL))).counts.retired === 1
  })
})

t.test('another shape of keys that could not be written is taken back with them', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  const [key] = await generate(engine, 1)
  store.fault = FULL
  const answers = await Promise.all([
    engine.delete(POOL, String(key?.id)),
    engine.putPool(POOL, { alphabet: 'xy', length: 8 }),
    engine.generate(POOL, { count: 4, metadata: null })
  ])
  for (const answer of answers) t.strictSame(answer, UNAVAILABLE)
  t.match(await engine.pool(POOL), { policy: { length: 20 }, counts: { total: 1 } })
  await mend(durable)
  t.match(await engine.key(POOL, String(key?.id), true), { key: key?.key })
  await agree(t, durable)
})

t.test('a pool whose end could not be written goes on', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  await granted(engine.putPool('scratch', {}))
  await generate(engine, 1, 'scratch')
  store.fault = FULL
  const deleted = engine.deletePool('scratch')
  const acquired = engine.acquire('scratch', {})
  t.strictSame(await deleted, UNAVAILABLE)
  t.strictSame(await acquired, UNAVAILABLE)
  t.match(await engine.pool('scratch'), { counts: { total: 1, free: 1 } })
  await mend(durable)
  t.match(await engine.acquire('scratch', {}), { fence: Number })
  t.equal(await engine.deletePool('scratch'), 'deleted')
  const { engine: later } = await durable.crash()
  t.strictSame(await later.pool('scratch'), { refusal: 'unknown-pool' })
})

t.test('a service that drains goes on refusing those who wait when it can write again', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  store.fault = FULL
  t.equal(await refusalOf(engine.generate(POOL, { count: 1, metadata: null })), 'storage-unavailable')
  engine.drain()
  await mend(durable)
  t.strictSame(await engine.acquire(POOL, { waitMs: 1000 }), { refusal: 'draining' })
})

t.test('changes that come while a write fails are taken back with it', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  const keys = await generate(engine, 20)
  let fail: () => void = () => undefined
  store.hold = new Promise(resolve => (fail = resolve))
  const first = engine.acquire(POOL, {})
  await turns(3)
  store.fault = FULL
  const second = engine.acquire(POOL, {})
  const third = engine.delete(POOL, String(keys[0]?.id))
  fail()
  store.hold = undefined
  for (const answer of [first, second, third]) t.strictSame(await answer, UNAVAILABLE)
  t.match(await engine.pool(POOL), { counts: { total: 20, free: 20 } })
  await mend(durable)
  await agree(t, durable)
})

t.test('a store that does not answer makes the service not ready', async t => {
  const { engine, store, clock } = await createDurable(t)
  await generate(engine, 1)
  let write: () => void = () => undefined
  store.hold = new Promise(resolve => (write = resolve))
  const answer = engine.acquire(POOL, {})
  await turns(3)
  clock.advance(1999)
  t.strictSame(engine.readiness(), [])
  clock.advance(1)
  t.match(engine.readiness(), [/2000 ms/])
  write()
  store.hold = undefined
  t.match(await answer, { fence: Number })
  await turns(5)
  t.strictSame(engine.readiness(), [])
})

t.test('a write that finds no room refuses who is in it; smaller ones go on', async t => {
  const durable = await createDurable(t)
  const { engine, store } = durable
  const [key] = await generate(engine, 10)
  const { commit } = store
  store.commit = async (entries, at) => {
    const bytes = entries.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
    if (bytes > 10_000) throw new Error(FULL.message)
    return commit.call(store, entries, at)
  }
  for (let i = 0; i < 3; i++) {
    t.strictSame(await engine.generate(POOL, { count: 1000, metadata: null }), UNAVAILABLE)
    // No time passes.
    await until(() => engine.readiness().length === 0)
    t.match(await engine.keepAlive(POOL, String(key?.id)), { id: key?.id })
    t.match(await engine.acquire(POOL, {}), { fence: Number })
  }
  await agree(t, durable)
})

t.test('a store that is lost is told, and nothing is served as if it were there', async t => {
  const { engine, store } = await createDurable(t)
  const error = new Error("the store's thread has ended")
  store.fault = { message: error.message, reads: true }
  store.lose(error)
  t.equal(await engine.lost, error)
  t.strictSame(engine.readiness(), ["the storage is lost: the store's thread has ended"])
  t.strictSame(await engine.generate(POOL, { count: 1, metadata: null }), UNAVAILABLE)
})
