-- Part: what a customer has said, choice|version|µs for each sender and for *.

-- The newest word wins; of two at the same time, the higher version.
local function note(customer, sender, choice, at, version)
  local consents = CUSTOMER_KEY .. customer
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

-- A word that came from another address is kept there as well: should that
-- address prove to be a third one's, the word is its too.
local function say(customer, sender, choice, at, version)
  local counts_as = canonical(customer)
  if counts_as ~= customer then
    note(customer, sender, choice, at, version)
  end
  return note(counts_as, sender, choice, at, version)
end
