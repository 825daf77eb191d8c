import fc from 'fast-check'
import t from 'tap'
import { CHUNK } from '../../src/pool/column.ts'
import {
  ACQUIRED_AT,
  CREATED_AT,
  FENCE,
  KEEP_ALIVE_BY,
  HOLD_MS,
  PLACE,
  Records,
  SERIAL,
  UNTIL
} from '../../src/pool/records.ts'

const FIELDS = [CREATED_AT, KEEP_ALIVE_BY, UNTIL, ACQUIRED_AT, FENCE, SERIAL, HOLD_MS, PLACE]

t.test('a new slot has every field at 0', async t => {
  const records = new Records()
  const slot = records.open()
  for (const field of FIELDS) t.equal(records.get(slot, field), 0)
})

t.test('each field of each slot keeps what was set', async t => {
  const records = new Records()
  const slots = Array.from({ length: CHUNK + 2 }, () => records.open())
  t.equal(new Set(slots).size, slots.length)
  for (const slot of slots) for (const field of FIELDS) records.set(slot, field, slot * 10 + field)
  for (const slot of slots)
    for (const field of FIELDS)
      if (records.get(slot, field) !== slot * 10 + field) throw new Error(`field ${field} of slot ${slot} changed`)
  records.set(slots[0] as number, KEEP_ALIVE_BY, Infinity)
  t.equal(records.get(slots[0] as number, KEEP_ALIVE_BY), Infinity)
})

t.test('a closed slot is opened again with every field at 0, before a new one', async t => {
  const records = new Records()
  const [first, second] = [records.open(), records.open()]
  for (const slot of [first, second]) for (const field of FIELDS) records.set(slot, field, 7)
  records.close(first)
  records.close(second)
  const again = [records.open(), records.open()]
  t.strictSame(new Set(again), new Set([first, second]))
  for (const slot of again) for (const field of FIELDS) t.equal(records.get(slot, field), 0)
  t.notOk([first, second].includes(records.open()))
})

t.test('slots never outnumber the most that were open at once, and no two are the same', async () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { freq: 3 }), { maxLength: 100 }), steps => {
      const records = new Records()
      const open: number[] = []
      let most = 0
      for (const step of steps) {
        if (step === null) {
          const slot = records.open()
          if (open.includes(slot)) throw new Error(`${slot} was open already`)
          open.push(slot)
          most = Math.max(most, open.length)
          if (slot >= most) throw new Error(`${slot} while ${most - 1} would do`)
        } else if (open.length > 0) {
          records.close(...(open.splice(step % open.length, 1) as [number]))
        }
      }
    })
  )
})
