-- New keys enter the pool, free: what generate and import share.

-- Keys that were made or imported by an earlier call of this scope and still live; the refusal where that was another
-- call; nil where it is the first.
local function enteredBefore(scope, fingerprint)
  local known, ids = recall(scope)
  if not known then return nil end
  if known ~= fingerprint then return { 'idempotency-key-reused' } end
  local entered = {}
  for _, id in ipairs(ids) do
    local record = find(id)
    if record then entered[#entered + 1] = told(id, record, true) end
  end
  return { 'entered', now, entered }
end

-- Why so many keys can't enter; nil where they can.
local function isFullFor(number)
  if call('HLEN', KEYS_) + number <= tonumber(call('HGET', POOL, 'maxKeys')) then return nil end
  return { isDue() and 'behind' or 'pool-full' }
end

-- `keys` is a list of id, key, place and metadata, one after the other.
local function enter(keys, scope, fingerprint)
  local number = #keys / 4
  local serial = call('HINCRBY', POOL, 'serial', number) - number
  local entered, ids = {}, {}
  for i = 1, #keys, 4 do
    local id, index = keys[i], tonumber(keys[i + 2])
    serial = serial + 1
    local record = { keys[i + 1], serial, now, 0, NEVER, FREE, 0, 0, 0, 0, false, false, keys[i + 3], index, false }
    take(index)
    call('ZADD', STATES[FREE], serial, id)
    keepAlive(id, record)
    write(id, record)
    entered[#entered + 1] = told(id, record, true)
    ids[#ids + 1] = id
  end
  if scope then keep(scope, fingerprint, number, ids) end
  return { 'entered', now, entered }
end

-- The shape that keys are made in has changed since the caller looked at it.
local function stale(shape)
  local known = call('HMGET', POOL, 'shape', 'alphabet', 'length', 'prefix')
  return known[1] ~= shape and { 'stale', known } or nil
end
