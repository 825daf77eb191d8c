import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { systemClock } from '../src/clock.ts'

const DAY_MS = 86_400_000

t.test('the clock tells whole milliseconds, near those of the wall', async t => {
  const before = Date.now()
  const now = systemClock().now()
  const after = Date.now()
  t.ok(Number.isInteger(now))
  // Both sources round down, and are read one after the other.
  t.ok(now >= before - 1 && now <= after + 1, `${before} <= ${now} <= ${after}`)
})

t.test('the clock never goes back, and goes on', async t => {
  const clock = systemClock()
  const first = clock.now()
  let last = first
  while (last < first + 5) {
    const now = clock.now()
    if (now < last || !Number.isInteger(now)) t.fail(`${now} after ${last}`)
    last = now
  }
  t.ok(last >= first + 5)
})

t.test("setting the machine's clock moves no instant", async t => {
  const clock = systemClock()
  const { now: truth } = Date
  t.teardown(() => (Date.now = truth))
  const before = clock.now()
  for (const change of [DAY_MS, -DAY_MS, -truth()]) {
    Date.now = () => truth() + change
    const now = clock.now()
    t.ok(now >= before && now < before + DAY_MS / 2, `${change}: ${now - before}`)
  }
})

t.test('a clock starts at the time of the wall, whatever it was before', async t => {
  const { now: truth } = Date
  t.teardown(() => (Date.now = truth))
  Date.now = () => truth() + DAY_MS
  const difference = systemClock().now() - truth()
  t.ok(difference > DAY_MS / 2 && difference <= DAY_MS + 1, `${difference}`)
})

t.test('a timer calls back once, not before its time', async t => {
  const clock = systemClock()
  const events = new EventEmitter()
  const start = clock.now()
  let calls = 0
  clock.after(5, () => {
    calls++
    events.emit('called')
  })
  t.equal(calls, 0)
  await once(events, 'called')
  // Node's timers count whole milliseconds of another origin: they may be one early.
  t.ok(clock.now() >= start + 4)
  clock.after(10, () => events.emit('later'))
  await once(events, 'later')
  t.equal(calls, 1)
})

t.test('a timer that was cancelled does not call back', async t => {
  const clock = systemClock()
  const events = new EventEmitter()
  clock.after(1, () => t.fail('called')).cancel()
  clock.after(5, () => events.emit('later'))
  await once(events, 'later')
  t.pass('the later one has been called, the cancelled one has not')
})

t.test('what is to come soon comes after what goes on now', async t => {
  const clock = systemClock()
  const order: string[] = []
  const soon = new Promise<void>(resolve =>
    clock.soon(() => {
      order.push('soon')
      resolve()
    })
  )
  await Promise.resolve()
  order.push('now')
  await soon
  t.strictSame(order, ['now', 'soon'])
})
