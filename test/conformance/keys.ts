import { generate, granted } from '../support/create-engine.ts'
import { type Facts, generateOne, idOf, KEEP_ALIVE_MS, NO_ID, POOL } from './provided.ts'

export const keys: Facts = {
  'a generated key is free and has its whole life before it': async (t, { engine, now }) => {
    const [view] = await granted(engine.generate(POOL, { count: 1, metadata: { vendor: 'a' } }))
    t.match(view?.key, /^[A-Za-z0-9]{20}$/)
    t.match(view, {
      id: idOf(String(view?.key)),
      state: 'free',
      createdAt: now(),
      activatedAt: null,
      keepAliveBy: now() + KEEP_ALIVE_MS,
      keepAliveInMs: KEEP_ALIVE_MS,
      coolingUntil: null,
      coolingInMs: null,
      lease: null,
      metadata: { vendor: 'a' },
      servedAt: null,
      changedAt: now()
    })
  },

  'many keys are generated at once, all distinct, with growing serials': async (t, { engine }) => {
    const views = await granted(engine.generate(POOL, { count: 1000, metadata: null }))
    t.equal(new Set(views.map(({ key }) => key)).size, 1000)
    t.ok(views.every(({ serial }, i) => i === 0 || serial > Number(views[i - 1]?.serial)))
    t.ok(views.every(({ metadata }) => metadata === null))
    const { serial } = await generateOne(engine)
    t.ok(serial > Number(views[999]?.serial))
  },

  'generated keys follow the policy': async (t, { engine }) => {
    await granted(engine.putPool('shaped', { prefix: 'sk-', alphabet: '01', length: 100, keepAliveMs: null }))
    const [view] = await granted(engine.generate('shaped', { count: 1, metadata: null }))
    t.match(view, { key: /^sk-[01]{100}$/, keepAliveBy: null, keepAliveInMs: null })
  },

  'generation reaches the last key of a small space, and tells how many remain': async (t, { engine }) => {
    await granted(engine.putPool('small', { alphabet: 'ab', length: 3 }))
    const made = await generate(engine, 5, 'small')
    t.match(await engine.pool('small'), { keyspace: { size: 8, remaining: 3 } })
    t.strictSame(await engine.generate('small', { count: 4, metadata: null }), {
      refusal: 'keyspace-exhausted',
      remaining: 3
    })
    t.match(await engine.pool('small'), { counts: { total: 5 } }, 'nothing was generated')
    made.push(...(await generate(engine, 3, 'small')))
    t.equal(new Set(made.map(({ key }) => key)).size, 8)
    t.strictSame(await engine.generate('small', { count: 1, metadata: null }), {
      refusal: 'keyspace-exhausted',
      remaining: 0
    })

    await granted(engine.delete('small', made[2]?.id ?? ''))
    t.equal((await generateOne(engine, 'small')).key, made[2]?.key, 'the one that was deleted is unused again')
  },

  'an imported key inside the space is not generated again': async (t, { engine }) => {
    await granted(engine.putPool('small', { alphabet: 'ab', length: 2, prefix: 'x' }))
    await granted(engine.importKeys('small', [{ key: 'xab' }, { key: 'elsewhere' }]))
    t.match(await engine.pool('small'), { keyspace: { size: 4, remaining: 3 } })
    const made = await generate(engine, 3, 'small')
    t.strictSame(made.map(({ key }) => key).sort(), ['xaa', 'xba', 'xbb'])
  },

  'a retired key is never generated again': async (t, { engine, advance }) => {
    await granted(engine.putPool('small', { alphabet: 'ab', length: 2, keepAliveMs: 1000 }))
    const gone = (await generate(engine, 3, 'small')).map(({ key }) => key)
    await advance(1000)
    t.match(await engine.pool('small'), { counts: { total: 0, retired: 3 }, keyspace: { remaining: 1 } })
    t.notOk(gone.includes((await generateOne(engine, 'small')).key))
    t.strictSame(await engine.generate('small', { count: 1, metadata: null }), {
      refusal: 'keyspace-exhausted',
      remaining: 0
    })
  },

  'an import brings its keys and their metadata, in order': async (t, { engine, now }) => {
    const long = '~'.repeat(512)
    const views = await granted(
      engine.importKeys(POOL, [{ key: '!' }, { key: long, metadata: { a: 'b' } }, { key: 'c', metadata: null }])
    )
    t.match(views, [
      { id: idOf('!'), key: '!', state: 'free', metadata: null, createdAt: now(), keepAliveInMs: KEEP_ALIVE_MS },
      { id: idOf(long), key: long, metadata: { a: 'b' } },
      { id: idOf('c'), key: 'c', metadata: null }
    ])
    t.match(await engine.key(POOL, idOf(long), true), { key: long, metadata: { a: 'b' } })
  },

  'an import of living or retired keys names them all, the living first, and imports nothing': async (
    t,
    { engine, advance }
  ) => {
    await granted(engine.importKeys(POOL, [{ key: 'retired' }, { key: 'retired-too' }]))
    await advance(KEEP_ALIVE_MS)
    await granted(engine.importKeys(POOL, [{ key: 'living' }, { key: 'living-too' }]))
    const all = ['new', 'retired', 'living', 'retired-too', 'living-too'].map(key => ({ key }))
    t.strictSame(await engine.importKeys(POOL, all), { refusal: 'key-exists', indexes: [2, 4] })
    t.strictSame(await engine.importKeys(POOL, all.slice(0, 2)), { refusal: 'key-retired', indexes: [1] })
    t.strictSame(await engine.importKeys(POOL, [...all.slice(0, 2), ...all.slice(3, 4)]), {
      refusal: 'key-retired',
      indexes: [1, 2]
    })
    t.match(await engine.pool(POOL), { counts: { total: 2, retired: 2 } })
    t.strictSame(await engine.key(POOL, idOf('new')), { refusal: 'unknown-key' })
  },

  'a pool holds no more than maxKeys': async (t, { engine }) => {
    await granted(engine.putPool(POOL, { maxKeys: 3 }))
    const [first] = await generate(engine, 2)
    t.strictSame(await engine.generate(POOL, { count: 2, metadata: null }), { refusal: 'pool-full' })
    t.strictSame(await engine.importKeys(POOL, [{ key: 'a' }, { key: 'b' }]), { refusal: 'pool-full' })
    t.match(await engine.pool(POOL), { counts: { total: 2 } })
    await generate(engine, 1)
    t.strictSame(await engine.importKeys(POOL, [{ key: 'a' }]), { refusal: 'pool-full' })
    await granted(engine.delete(POOL, first?.id ?? ''))
    await granted(engine.importKeys(POOL, [{ key: 'a' }]))
    await granted(engine.putPool(POOL, { maxKeys: 1 }))
    t.match(await engine.pool(POOL), { counts: { total: 3 } }, 'a lower limit ends no life')
  },

  'room is there as soon as lives have ended': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { maxKeys: 1000 }))
    await generate(engine, 1000)
    await advance(KEEP_ALIVE_MS - 1)
    t.strictSame(await engine.generate(POOL, { count: 1, metadata: null }), { refusal: 'pool-full' })
    await advance(1)
    t.equal((await generate(engine, 1000)).length, 1000)
  },

  'a secret is shown where it was made or leased, or to who asks': async (t, { engine }) => {
    const { id, key } = await generateOne(engine)
    t.match(await engine.key(POOL, id, true), { id, key })
    const lease = await granted(engine.acquire(POOL, { leaseMs: 1000 }))
    t.equal(lease.key, key)
    const elsewhere: [string, unknown][] = [
      ['key', await engine.key(POOL, id)],
      ['key, not revealed', await engine.key(POOL, id, false)],
      ['keepAlive', await engine.keepAlive(POOL, id)],
      ['activate', await engine.activate(POOL, id)],
      ['setMetadata', await engine.setMetadata(POOL, id, { a: 'b' })],
      ['list', await engine.list(POOL, { limit: 10 })],
      ['lease', await engine.lease(POOL, lease.id)],
      ['renew', await engine.renew(POOL, lease.id, {})],
      ['pool', await engine.pool(POOL)],
      ['refusal', await engine.importKeys(POOL, [{ key }])]
    ]
    for (const [verb, answer] of elsewhere) t.notOk(JSON.stringify(answer).includes(key), verb)
  },

  'activation happens once and is told each time': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    const at = now()
    t.match(await engine.activate(POOL, id), { first: true, key: { id, activatedAt: at, changedAt: at } })
    await advance(1000)
    t.match(await engine.activate(POOL, id), { first: false, key: { id, activatedAt: at } })
    t.match(await engine.key(POOL, id), { activatedAt: at, keepAliveInMs: KEEP_ALIVE_MS - 1000 })
  },

  'metadata is replaced as a whole, and taken away by null': async (t, { engine }) => {
    const { id } = await generateOne(engine)
    const given: Record<string, string> = { a: 'b', '': 'ü\u2028"', constructor: 'c' }
    t.match(await engine.setMetadata(POOL, id, given), { id, metadata: given })
    given.a = 'changed by the caller later'
    t.strictSame((await granted(engine.key(POOL, id))).metadata, { a: 'b', '': 'ü\u2028"', constructor: 'c' })
    t.match((await granted(engine.acquire(POOL, {}))).metadata, { a: 'b' })
    t.strictSame((await granted(engine.setMetadata(POOL, id, { c: 'd' }))).metadata, { c: 'd' })
    t.strictSame((await granted(engine.setMetadata(POOL, id, {}))).metadata, {})
    t.equal((await granted(engine.setMetadata(POOL, id, null))).metadata, null)
    t.equal((await granted(engine.key(POOL, id))).metadata, null)
  },

  'a key that never was, one deleted and one retired are the same: unknown': async (t, { engine, advance }) => {
    const retired = (await generateOne(engine)).id
    await advance(KEEP_ALIVE_MS)
    const deleted = (await generateOne(engine)).id
    await granted(engine.delete(POOL, deleted))
    for (const id of [NO_ID, retired, deleted, '', '__proto__', 'constructor', `${NO_ID}.1`]) {
      const answers = [
        await engine.key(POOL, id),
        await engine.key(POOL, id, true),
        await engine.delete(POOL, id),
        await engine.keepAlive(POOL, id),
        await engine.activate(POOL, id),
        await engine.setMetadata(POOL, id, null),
        await engine.unblock(POOL, id)
      ]
      for (const answer of answers) t.strictSame(answer, { refusal: 'unknown-key' }, id)
    }
  },

  'a deleted key is generated or imported again only where the policy says so': async (t, { engine }) => {
    await granted(engine.putPool('again', { alphabet: 'ab', length: 1 }))
    await granted(engine.putPool('never', { alphabet: 'ab', length: 1, reuseDeleted: false }))
    for (const pool of ['again', 'never']) {
      for (const { id } of await generate(engine, 2, pool)) t.equal(await engine.delete(pool, id), 'deleted')
    }
    t.match(await engine.pool('again'), { counts: { total: 0, retired: 0 }, keyspace: { remaining: 2 } })
    t.equal((await generate(engine, 2, 'again')).length, 2)
    t.match(await engine.pool('never'), { counts: { total: 0, retired: 2 }, keyspace: { remaining: 0 } })
    t.match(await engine.generate('never', { count: 1, metadata: null }), { refusal: 'keyspace-exhausted' })
    t.strictSame(await engine.importKeys('never', [{ key: 'a' }]), { refusal: 'key-retired', indexes: [0] })
  }
}
