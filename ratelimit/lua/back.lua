-- Part: places that are given back.

-- Frees a grant's place where no other attempt has written since. The grant has
-- none any more, so that doing it again does nothing.
local function give_back(job, grant)
  if not grant.score then
    return
  end
  local function restore(window, back)
    if score_of(window, job.customer) ~= grant.score then
      return
    end
    if back and back > cutoff then
      call('ZADD', window, us(back), job.customer)
    else
      call('ZREM', window, job.customer)
    end
  end
  restore(SENDER_WINDOW_KEY .. job.sender, grant.sender_back)
  restore(POOL_WINDOW_KEY .. grant.pool, grant.pool_back)
  grant.score, grant.sender_back, grant.pool_back = nil, nil, nil
end

-- Gives a reservation that nobody took over back, and forgets it.
local function drop_reservation(job)
  if not job.grant or job.grant.state ~= 'r' then
    return
  end
  give_back(job, job.grant)
  local n = us(job.attempt)
  call('HDEL', job.hash, 'g' .. n, 'w' .. n)
  job.grant = nil
end
