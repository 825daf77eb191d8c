-- draw: places of a numbered key space that are not used, each equally likely, without taking them.
-- ARGV 3 the shape's name, 4 … random numbers of 0 … 1
-- Answers drawn with the places, fewer where no more are left; stale with the shape; unknown-pool. O(numbers).
function verbs.draw(a)
  local outdated = stale(a[1])
  if outdated then return outdated end
  local size, used = space()
  local remaining, moved, places = size - used, {}, {}
  local function at(position)
    return moved[position] or tonumber(call('HGET', AT, position)) or position
  end
  for i = 2, #a do
    if remaining == 0 then break end
    local position = floor(a[i] * remaining)
    places[#places + 1] = at(position)
    remaining = remaining - 1
    moved[position] = at(remaining)
  end
  return { 'drawn', places }
end
