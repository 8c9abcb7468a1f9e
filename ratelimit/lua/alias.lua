-- Records that two addresses are one customer's, and makes one customer of what
-- was kept for each.
--
-- KEYS 1 the address that counts as the other from now on
-- ARGV 2 that address  3 the customer that it is  4 version
-- Returns 1, or 0 if that or something newer is known.

local alias, target = ARGV[2], canonical(ARGV[3])
if alias == target or not newer(KEYS[1], ARGV[4], '=version') then
  return 0
end
local known = call('HGET', KEYS[1], '=')
call('HSET', KEYS[1], '=version', ARGV[4])
if known == target then
  return 0
end

-- Where both have a place, theirs goes above both scores. So it is no grant's,
-- and no attempt that fails takes the other one's place along. Which of the sends
-- to the customer that it was taken for before were its own is not known: it is
-- counted as if the last one was.
local before = known and canonical(known)
local function merge_window(window)
  local from, to = score_of(window, alias), score_of(window, target)
  if from then
    call('ZREM', window, alias)
    if from > cutoff then
      to = to and to > cutoff and math.max(from, to) + 1 or from
      call('ZADD', window, us(to), target)
    end
  end
  local shared = before and before ~= target and score_of(window, before)
  if shared and shared > cutoff and shared >= (to or 0) then
    call('ZADD', window, us(shared + 1), target)
  end
end

-- The later of two messages, or of two moments when a pace is due.
local function merge_time(prefix)
  local from, to = call('GET', prefix .. alias), call('GET', prefix .. target)
  if from and tonumber(from) > tonumber(to or '0') then
    call('SET', prefix .. target, from, 'PX', math.max(1, call('PTTL', prefix .. alias)))
  end
end

for _, pool in ipairs(call('SMEMBERS', POOLS_KEY)) do
  merge_window(POOL_WINDOW_KEY .. pool)
end
for _, sender in ipairs(call('SMEMBERS', SENDERS_KEY)) do
  merge_window(SENDER_WINDOW_KEY .. sender)
  merge_time(INBOUND_KEY .. sender .. ':')
  merge_time(PAIR_KEY .. sender .. ':')
end

local to = CUSTOMER_KEY .. target
local f = call('HGETALL', KEYS[1])
for i = 1, #f, 2 do
  local field, value = f[i], f[i + 1]
  local choice, version, at = string.match(value, '^(%a+)|(%d*)|(%d+)$')
  if string.match(field, '^#%d+$') then
    call('HSET', to, field, value)
    call('HINCRBY', to, '#', 1)
    call('HDEL', KEYS[1], field, '#')
  elseif choice then
    note(target, field, choice, tonumber(at), version)
  end
end
-- What is true now: whatever either address does from here on, the one customer
-- does. A job that waits for it may need no place any more.
call('HSET', KEYS[1], '=', target)
wake(target)
return 1
