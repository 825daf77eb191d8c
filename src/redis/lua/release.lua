-- release: a lease ends before its deadline.
-- ARGV 3 id of the key, 4 fence, 5 owner, 6 cooldownMs
-- Answers released; lease-lost; forbidden; unknown-pool. O(log n).
function verbs.release(a)
  local id, owner, cooldownMs = a[1], a[3], tonumber(a[4])
  local record = find(id)
  -- A fence is forgotten when its lease ends otherwise, so one that is remembered for a key not leased was released.
  if not record or record[FENCE] ~= tonumber(a[2]) then return { 'lease-lost' } end
  if not isOwned(record, owner) then return { 'forbidden' } end
  if record[STATE] ~= LEASED then return { 'released' } end
  record[HOLDER], record[HOLD_MS], record[UNTIL] = false, cooldownMs, now + cooldownMs
  forgetScope(record)
  if cooldownMs == 0 then
    call('ZREM', HOLDS, id)
    move(id, record, FREE)
  else
    call('ZADD', HOLDS, record[UNTIL], id)
    move(id, record, COOLING)
  end
  write(id, record)
  return { 'released' }
end
