-- putPool: makes a pool, or changes the policy of one.
-- ARGV 3 its entry in the list of pools, new each time, 4 the changes as a JSON object, 5 all of a new pool's policy
-- Answers made or changed; policy-locked; max-hold-too-short. O(1).
local MEMBERS = { 'leaseMs', 'maxHoldMs', 'keepAliveMs', 'alphabet', 'length', 'prefix', 'reuseDeleted', 'maxKeys' }

local function text(value)
  if value == cjson.null then return '' end
  if value == true then return '1' end
  if value == false then return '0' end
  return type(value) == 'number' and string.format('%.0f', value) or value
end

-- How many keys there are, or '' for a space too vast for the fraction of a double to reach each of them equally: of more
-- than 2^40. There a drawn key is hardly ever a used one.
local function size(alphabet, length)
  local keys = 1
  for _ = 1, tonumber(length) do
    keys = keys * #alphabet
    if keys > 1099511627776 then return '' end
  end
  return string.format('%.0f', keys)
end

function verbs.putPool(a)
  local present = call('HMGET', POOL, unpack(MEMBERS))
  local isNew = not present[1]
  local changes, initial = cjson.decode(a[2]), cjson.decode(a[3])
  local new = {}
  for i, name in ipairs(MEMBERS) do
    local change = changes[name]
    if change == nil then new[name] = isNew and text(initial[name]) or present[i] else new[name] = text(change) end
  end
  if new.maxHoldMs ~= '' and tonumber(new.maxHoldMs) < tonumber(new.leaseMs) then return { 'max-hold-too-short' } end
  local isReshaped = new.alphabet ~= present[4] or new.length ~= present[5] or new.prefix ~= present[6]
  if isReshaped and call('EXISTS', KEYS_) + call('EXISTS', RETIRED) > 0 then return { 'policy-locked' } end
  for _, name in ipairs(MEMBERS) do call('HSET', POOL, name, new[name]) end
  call('HSET', POOL, 'entry', a[1])
  if isReshaped then
    call('HSET', POOL, 'shape', a[1], 'size', size(new.alphabet, new.length), 'used', 0)
    call('DEL', AT, OF)
  end
  if isNew then
    call('HSET', POOL, 'born', a[1], 'last', 0, 'ahead', 0, 'fence', call('GET', POOL .. ':fence') or 0, 'kept', 0)
  end
  begin()
  return { isNew and 'made' or 'changed' }
end
