-- What all scripts share: it stands before each of them.
--
-- KEYS[1] is the hash of the pool, keypool:{<name>}. All else of the pool stands under names that begin with it: the
-- braces keep them in one hash slot.
--   …:keys     hash    id -> record, see below
--   …:free, …:leased, …:cooling   sorted sets    id by serial: who is in which state
--   …:holds    sorted set    id by the end of its lease or cooling
--   …:lives    sorted set    id by the end of its life, where it ages
--   …:retired  hash    id -> its place in the key space
--   …:at, …:of hashes  position -> place and back, of a key space small enough to be numbered: see take
--   …:line     sorted set    waiter by the number of its arrival; <node>.<epoch>:<number>
--   …:nodes    sorted set    <node>.<epoch> by when it last told that its waiters wait
--   …:waits, …:scopes   hashes    scope of a waiting call -> waiter, and back
--   …:served   hash    scope of an acquire -> what a retry of it is given
--   …:fence    string  the last fence of a pool that was deleted a while ago
--   …:kept     hash    scope of other calls -> their result; …:ends   sorted set    scope by when that is forgotten
--
-- ARGV[1] is the instant in milliseconds since 1970, or '' for the server's own TIME: the only clock. ARGV[2] is the
-- largest fence of the pool that the caller has seen: none that is given is smaller, whatever a failover has lost.
-- All numbers are whole and below 2^53. A reply begins with what the call came to.

local POOL = KEYS[1]
local KEYS_, HOLDS, LIVES, RETIRED = POOL .. ':keys', POOL .. ':holds', POOL .. ':lives', POOL .. ':retired'
local AT, OF, LINE, NODES = POOL .. ':at', POOL .. ':of', POOL .. ':line', POOL .. ':nodes'
local WAITS, SCOPES = POOL .. ':waits', POOL .. ':scopes'
local SERVED, KEPT, ENDS = POOL .. ':served', POOL .. ':kept', POOL .. ':ends'
local STATES = { [0] = POOL .. ':free', POOL .. ':leased', POOL .. ':cooling' }
local FREE, LEASED, COOLING = 0, 1, 2

-- A record is a list, packed. NEVER for the life of a key that does not age; false where there is none.
local KEY, SERIAL, CREATED_AT, ACTIVATED_AT, KEEP_ALIVE_BY, STATE, UNTIL = 1, 2, 3, 4, 5, 6, 7
local ACQUIRED_AT, FENCE, HOLD_MS, HOLDER, OWNER, METADATA, PLACE, SCOPE = 8, 9, 10, 11, 12, 13, 14, 15
local NEVER = -1
local NOWHERE = -1

-- How many due deadlines of each kind a verb applies before its own work.
local APPLIED_PER_VERB = 16
-- How many waiters are looked at in one call.
local LOOKED_AT = 16
-- How long a node is believed to be alive that tells nothing, in milliseconds.
local NODE_MS = 3000
local MAX_WAITING = 10000
local KEPT_MS = 600000
local MAX_KEPT = 1000000
local FENCES_PER_MS = 1000

local call, floor, min, max = redis.call, math.floor, math.min, math.max
local now, policy

-- The present instant, in `now`; nil where there is no such pool. Time goes on from the latest instant that was written
-- where the server's clock was set back, also by a failover: `ahead` is by how much.
local function begin()
  local pool = call('HMGET', POOL, 'last', 'ahead', 'leaseMs', 'maxHoldMs', 'keepAliveMs', 'reuseDeleted', 'fence')
  if not pool[1] then return nil end
  local last, ahead = tonumber(pool[1]), tonumber(pool[2])
  local time = tonumber(ARGV[1])
  if not time then
    local seconds = call('TIME')
    time = seconds[1] * 1000 + floor(seconds[2] / 1000)
  end
  now = time + ahead
  if now < last then
    call('HSET', POOL, 'ahead', last - time)
    now = last
  elseif now > last then
    call('HSET', POOL, 'last', now)
  end
  policy = { leaseMs = tonumber(pool[3]), keepAliveMs = tonumber(pool[5]), reuseDeleted = pool[6] == '1' }
  policy.longestHold = tonumber(pool[4]) or policy.leaseMs
  policy.fence = max(tonumber(pool[7]), tonumber(ARGV[2]))
  return now
end

local function read(id)
  local packed = id and call('HGET', KEYS_, id)
  return packed and cmsgpack.unpack(packed)
end

local function write(id, record)
  call('HSET', KEYS_, id, cmsgpack.pack(record))
end

local function count(state)
  return call('ZCARD', STATES[state])
end

-- Whether the node of a waiter has died.
local function isGone(waiter)
  local seen = call('ZSCORE', NODES, string.match(waiter, '^[^:]*'))
  return not seen or now - seen > NODE_MS
end

-- The earliest of the instants by which some sets are sorted; nil where there is none.
local function soonestOf(...)
  local soonest
  for _, set in ipairs({ ... }) do
    local first = tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2])
    if first and (not soonest or first < soonest) then soonest = first end
  end
  return soonest
end

-- In how many milliseconds an instant is; false where there is none, which a reply can hold.
local function inMs(instant)
  return instant and max(0, instant - now) or false
end

-- Whether the sweep has work left that may change an answer.
local function isDue()
  local soonest = soonestOf(HOLDS, LIVES)
  if soonest and soonest <= now then return true end
  local waiter = call('ZRANGE', LINE, 0, 0)[1]
  return waiter ~= nil and isGone(waiter)
end

-- The key space. One that can be numbered is a sparse shuffle (Fisher and Yates in Durstenfeld's form): the unused places
-- stand at the positions 0 … remaining - 1; what stands where its number says needs no entry.

local function place(index, position)
  if index == position then
    call('HDEL', AT, position)
    call('HDEL', OF, index)
  else
    call('HSET', AT, position, index)
    call('HSET', OF, index, position)
  end
end

local function positionOf(index)
  return tonumber(call('HGET', OF, index)) or index
end

-- Whether an index, of so many that are not used, is. What has been used has left its position to another.
local function isUnused(index, remaining)
  local position = positionOf(index)
  return position < remaining and (tonumber(call('HGET', AT, position)) or position) == index
end

-- How many there are, or nil where they are not numbered, and how many are used.
local function space()
  local found = call('HMGET', POOL, 'size', 'used')
  return tonumber(found[1]), tonumber(found[2])
end

local function take(index)
  if index == NOWHERE then return end
  local size = tonumber(call('HGET', POOL, 'size'))
  local used = call('HINCRBY', POOL, 'used', 1)
  if not size then return end
  local position, last = positionOf(index), size - used
  local moved = tonumber(call('HGET', AT, last)) or last
  call('HDEL', AT, last)
  call('HDEL', OF, index)
  if position ~= last then place(moved, position) end
end

local function giveBack(index)
  if index == NOWHERE then return end
  local size = tonumber(call('HGET', POOL, 'size'))
  local used = call('HINCRBY', POOL, 'used', -1)
  if size then place(index, size - used - 1) end
end

-- How keys change their state.

local function move(id, record, state)
  call('ZREM', STATES[record[STATE]], id)
  call('ZADD', STATES[state], record[SERIAL], id)
  record[STATE] = state
end

local function forgetScope(record)
  if record[SCOPE] then call('HDEL', SERVED, record[SCOPE]) end
  record[SCOPE] = false
end

-- A lease or a cooling has ended, but not by its holder. The record is to be written.
local function free(id, record)
  if record[STATE] == LEASED then
    record[FENCE], record[HOLDER], record[OWNER] = 0, false, false
    forgetScope(record)
  end
  call('ZREM', HOLDS, id)
  move(id, record, FREE)
end

local function remove(id, record, retires)
  call('HDEL', KEYS_, id)
  call('ZREM', STATES[record[STATE]], id)
  if record[STATE] ~= FREE then call('ZREM', HOLDS, id) end
  if record[KEEP_ALIVE_BY] ~= NEVER then call('ZREM', LIVES, id) end
  forgetScope(record)
  if retires then
    call('HSET', RETIRED, id, record[PLACE])
  else
    giveBack(record[PLACE])
  end
end

local function isAlive(record)
  return record[KEEP_ALIVE_BY] == NEVER or record[KEEP_ALIVE_BY] > now
end

-- The record of a living key, whose own deadlines are applied first; nil where none lives.
local function find(id)
  local record = read(id)
  if not record then return nil end
  if not isAlive(record) then
    remove(id, record, true)
    return nil
  end
  if record[STATE] ~= FREE and record[UNTIL] <= now then
    free(id, record)
    write(id, record)
  end
  return record
end

-- Moves the end of a life. The record is to be written.
local function keepAlive(id, record)
  if policy.keepAliveMs then
    record[KEEP_ALIVE_BY] = now + policy.keepAliveMs
    call('ZADD', LIVES, record[KEEP_ALIVE_BY], id)
  else
    record[KEEP_ALIVE_BY] = NEVER
    call('ZREM', LIVES, id)
  end
end

-- Applies up to `limit` due deadlines of each kind. O(limit * log n).
local function settle(limit)
  for _, set in ipairs({ LIVES, HOLDS }) do
    for _, id in ipairs(call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limit)) do find(id) end
  end
end

-- Replies.

local function told(id, record, reveals)
  local reply = { id }
  for field = 1, METADATA do reply[field + 1] = record[field] end
  if not reveals then reply[KEY + 1] = false end
  return reply
end

-- A key or a lease, as the caller is to see it.
local function shown(status, id, record, reveals)
  return { status, now, policy.longestHold, told(id, record, reveals) }
end

local function counts()
  return { count(FREE), count(LEASED), count(COOLING), call('HLEN', RETIRED), call('ZCARD', LINE) }
end

local function noFreeKey()
  return { 'no-free-key', counts(), inMs(soonestOf(HOLDS)) }
end

-- The nodes whose waiters stand first in line are told that there are free keys. Nothing depends on their hearing it.
local function wake()
  if call('EXISTS', LINE) == 0 then return end
  local keys = count(FREE)
  if keys == 0 then return end
  local name, woken = string.match(POOL, '{(.*)}'), {}
  for _, waiter in ipairs(call('ZRANGE', LINE, 0, min(keys, LOOKED_AT) - 1)) do
    local node = string.match(waiter, '^[^.]*')
    if not woken[node] then call('PUBLISH', 'keypool:' .. node, name) end
    woken[node] = true
  end
end

-- Those who wait.

local function leave(waiter)
  local left = call('ZREM', LINE, waiter)
  local scope = call('HGET', SCOPES, waiter)
  if scope then
    call('HDEL', SCOPES, waiter)
    if call('HGET', WAITS, scope) == waiter then call('HDEL', WAITS, scope) end
  end
  return left == 1
end

-- By the number of its arrival a waiter that was taken for dead has its old place again.
local function lineUp(waiter, arrival, scope)
  call('ZADD', LINE, arrival, waiter)
  if scope then
    call('HSETNX', WAITS, scope, waiter)
    call('HSET', SCOPES, waiter, scope)
  end
end

-- Waiters of nodes that have died leave, up to `limit`, as far as they stand first.
local function dropDead(limit)
  for _, waiter in ipairs(call('ZRANGE', LINE, 0, limit - 1)) do
    if not isGone(waiter) then return end
    leave(waiter)
  end
end

-- A lease of a random free key, the random numbers of 0 … 1 drawn by the caller; nil where all that were drawn are dead.
local function grant(randoms, leaseMs, holder, owner, scope, fingerprint)
  for _, random in ipairs(randoms) do
    local keys = count(FREE)
    if keys == 0 then return nil end
    local drawn = floor(random * keys)
    local id = call('ZRANGE', STATES[FREE], drawn, drawn)[1]
    local record = find(id)
    if record then
      local fence = max(policy.fence + 1, now * FENCES_PER_MS)
      policy.fence = fence
      call('HSET', POOL, 'fence', fence)
      move(id, record, LEASED)
      record[ACQUIRED_AT], record[FENCE], record[HOLD_MS], record[UNTIL] = now, fence, leaseMs, now + leaseMs
      record[HOLDER], record[OWNER] = holder, owner
      call('ZADD', HOLDS, record[UNTIL], id)
      if scope then
        record[SCOPE] = scope
        call('HSET', SERVED, scope, cmsgpack.pack({ fingerprint, id, fence }))
      end
      write(id, record)
      return shown('granted', id, record, true)
    end
  end
  return nil
end

-- The lease of a key, if it is the one with this fence; nil where it has ended.
local function findLease(id, fence)
  local record = find(id)
  return record and record[STATE] == LEASED and record[FENCE] == fence and record or nil
end

-- What a retry of an acquire is given; nil where its lease has ended, or where it is the first.
local function servedBefore(scope, fingerprint)
  local packed = call('HGET', SERVED, scope)
  if not packed then return nil end
  local known, id, fence = unpack(cmsgpack.unpack(packed))
  local record = findLease(id, fence)
  if not record then return nil end
  return known == fingerprint and shown('granted', id, record, true) or { 'idempotency-key-reused' }
end

local function isOwned(record, owner)
  return not owner or not record[OWNER] or record[OWNER] == owner
end

-- Results for retries.

local function forget(scope)
  local packed = call('HGET', KEPT, scope)
  if not packed then return end
  call('HDEL', KEPT, scope)
  call('ZREM', ENDS, scope)
  call('HINCRBY', POOL, 'kept', -cmsgpack.unpack(packed)[2])
end

local function keep(scope, fingerprint, weight, result)
  forget(scope)
  call('HSET', KEPT, scope, cmsgpack.pack({ fingerprint, weight, result }))
  call('ZADD', ENDS, now + KEPT_MS, scope)
  local kept = call('HINCRBY', POOL, 'kept', weight)
  if kept <= MAX_KEPT then return end
  for _, oldest in ipairs(call('ZRANGE', ENDS, 0, LOOKED_AT - 1)) do
    if tonumber(call('HGET', POOL, 'kept')) <= MAX_KEPT then return end
    forget(oldest)
  end
end

-- The fingerprint and the result that are kept; nil where none are.
local function recall(scope)
  local ends = call('ZSCORE', ENDS, scope)
  if not ends or tonumber(ends) <= now then return nil end
  local kept = cmsgpack.unpack(call('HGET', KEPT, scope))
  return kept[1], kept[3]
end

-- The arguments of the verb; the empty ones as false.
local function arguments()
  local list = {}
  for i = 3, #ARGV do list[i - 2] = ARGV[i] ~= '' and ARGV[i] end
  return list
end

local verbs = {}
