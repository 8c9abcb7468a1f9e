-- Part: what a customer has said, choice|version|µs for each sender and for *.

-- The newest word wins; of two at the same time, the higher version.
local function say(consents, sender, choice, at, version)
  local stored = call('HGET', consents, sender)
  if stored then
    local stored_version, stored_at = string.match(stored, '^%a+|(%d*)|(%d+)$')
    stored_at = tonumber(stored_at)
    if at < stored_at or (at == stored_at and version < stored_version) then
      return 0
    end
  end
  call('HSET', consents, sender, choice .. '|' .. version .. '|' .. us(at))
  return 1
end
