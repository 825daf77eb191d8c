import fc from 'fast-check'
import t from 'tap'
import { SlotSet } from '../../src/pool/slot-set.ts'

t.test('an empty set has no member', async t => {
  t.equal(new SlotSet().size, 0)
})

t.test('a member stands at the position that add returned', async t => {
  const set = new SlotSet()
  t.equal(set.add(7), 0)
  t.equal(set.add(3), 1)
  t.equal(set.at(0), 7)
  t.equal(set.at(1), 3)
  t.equal(set.size, 2)
})

t.test('the last member moves into the hole, and no other', async t => {
  const set = new SlotSet()
  for (const slot of [10, 11, 12, 13]) set.add(slot)
  t.equal(set.removeAt(1), 13)
  t.equal(set.size, 3)
  t.strictSame([set.at(0), set.at(1), set.at(2)], [10, 13, 12])
})

t.test('removing the last member moves none', async t => {
  const set = new SlotSet()
  set.add(10)
  set.add(11)
  t.equal(set.removeAt(1), -1)
  t.equal(set.removeAt(0), -1)
  t.equal(set.size, 0)
  t.equal(set.add(12), 0)
})

const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat(60)), { maxLength: 200, size: 'max' })

t.test('a set has the members of a plain list, at the positions that its caller was told', async () => {
  fc.assert(
    fc.property(steps, steps => {
      const set = new SlotSet()
      const twin: number[] = []
      const positionOf = new Map<number, number>()
      for (const [slot, step] of steps.entries()) {
        if (step === 'add') {
          positionOf.set(slot, set.add(slot))
          twin.push(slot)
        } else if (twin.length > 0) {
          const [removed] = twin.splice(step % twin.length, 1) as [number]
          const position = positionOf.get(removed) as number
          const moved = set.removeAt(position)
          positionOf.delete(removed)
          if (moved !== -1) positionOf.set(moved, position)
        }
        if (set.size !== twin.length) throw new Error(`size ${set.size}, not ${twin.length}`)
        for (const slot of twin) {
          if (set.at(positionOf.get(slot) as number) !== slot) throw new Error(`${slot} is not at its position`)
        }
      }
    })
  )
})

t.test('a walk from the end meets each member that stays, whatever else is added or removed', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), steps, (size, steps) => {
      const set = new SlotSet()
      const positionOf = new Map<number, number>()
      const stay = new Set<number>()
      for (let slot = 0; slot < size; slot++) {
        positionOf.set(slot, set.add(slot))
        stay.add(slot)
      }
      let below = set.size
      const met = new Set<number>()
      for (const [i, step] of steps.entries()) {
        if (step === 'add') positionOf.set(1000 + i, set.add(1000 + i))
        else if (step % 2 === 0 && set.size > 0) {
          const position = step % set.size
          const slot = set.at(position)
          const moved = set.removeAt(position)
          stay.delete(slot)
          if (moved !== -1) positionOf.set(moved, position)
        } else {
          below = Math.min(below, set.size)
          if (below > 0) met.add(set.at(--below))
        }
      }
      for (below = Math.min(below, set.size); below > 0;) met.add(set.at(--below))
      for (const slot of stay) if (!met.has(slot)) throw new Error(`${slot} stayed and was not met`)
    })
  )
})
