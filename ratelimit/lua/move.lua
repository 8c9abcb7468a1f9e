-- Part: a sender changes its pool. It is a member of the new one at once, and
-- whatever it sends from then on counts there. The customers that it has counted
-- before follow in steps, and until the last of them is in, the pool is closed
-- for new ones. The pool that it leaves keeps them until they age out.

-- Customers copied in one step: about a tenth of a millisecond.
local STEP = 256

-- Keeps what the members' limits come to, so that no admission adds them up.
local function tally(pool)
  local top, default = 0, '0'
  for _, text in ipairs(call('HVALS', MEMBERS_KEY .. pool)) do
    local limit = tonumber(text)
    if not limit then
      default = '1'
    elseif limit < 0 or top < 0 then
      top = -1
    else
      top = math.max(top, limit)
    end
  end
  call('HSET', POOL_KEY .. pool, 'top', us(top), 'default', default)
end

-- Copies the customers of one sender that is moving into a pool, the latest
-- first: a score that rises meanwhile is written to both windows by whoever
-- raises it, and one that falls is still to come. Copied is what the cursor has
-- passed; a crash leaves the cursor where the next step begins. Returns whether
-- senders are still moving.
local function move_on(pool)
  local moves, to = MOVES_KEY .. pool, POOL_WINDOW_KEY .. pool
  local sender = call('HKEYS', moves)[1]
  if sender then
    local from, below = SENDER_WINDOW_KEY .. sender, call('HGET', moves, sender)
    local entries = call('ZREVRANGEBYSCORE', from, below, '(' .. us(now - SPAN), 'WITHSCORES', 'LIMIT', 0, STEP)
    local last = entries[#entries]
    if #entries == 2 * STEP then
      -- Others may bear the last score too.
      local ties = call('ZRANGEBYSCORE', from, last, last)
      for _, customer in ipairs(ties) do
        entries[#entries + 1], entries[#entries + 2] = customer, last
      end
    end
    for i = 1, #entries, 2 do
      call('ZADD', to, 'GT', us(tonumber(entries[i + 1])), entries[i])
    end
    if #entries < 2 * STEP then
      call('HDEL', moves, sender)
    else
      call('HSET', moves, sender, '(' .. us(tonumber(last)))
    end
  end
  local left = call('HLEN', moves)
  -- What is true now: with none left, the pool's window is whole and it is open.
  call('HSET', POOL_KEY .. pool, 'moving', left)
  return left > 0
end

-- Makes a sender a member of a pool. Returns whether its customers are still to
-- follow.
local function join(sender, pool)
  local left = sender.member ~= pool and sender.member
  if left then
    call('HDEL', MEMBERS_KEY .. left, sender.name)
    call('HDEL', MOVES_KEY .. left, sender.name)
    tally(left)
    call('HSET', POOL_KEY .. left, 'moving', call('HLEN', MOVES_KEY .. left))
  end
  call('HSET', MEMBERS_KEY .. pool, sender.name, sender.set_limit)
  tally(pool)
  if sender.member ~= pool then
    call('SADD', POOLS_KEY, pool)
    call('SADD', SENDERS_KEY, sender.name)
    call('HSET', SENDER_KEY .. sender.name, 'member', pool)
    if left or call('ZCARD', SENDER_WINDOW_KEY .. sender.name) > 0 then
      call('HSET', MOVES_KEY .. pool, sender.name, '+inf')
      move_on(pool)
    end
    sender.member = pool
  end
  return call('HEXISTS', MOVES_KEY .. pool, sender.name) == 1
end
