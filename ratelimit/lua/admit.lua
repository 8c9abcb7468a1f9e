-- Decides whether one attempt of a job may go now, and if so takes its place,
-- its rate and the grant. Without a token it reserves them.
--
-- The way to a fresh grant is written out here; whatever else may come of the
-- question is rare enough to have its functions made when it does.

-- Whether a window has more places than a limit leaves to nobody: old entries
-- count as taken here.
local function ample(window, limit)
  return limit < 0 or call('ZCARD', window) < limit
end

-- What is true now: the attempt has its place, its rate and its one grant, in
-- one step. A crash from here on is made up for by the next delivery: it finds
-- the grant, or takes the reservation over.
local function give(sender, at, in_window, awaited)
  local before = job.grant
  local grant = {
    state = reserving and 'r' or 'g', given = now, at = at, token = token, pool = sender.pool, counted = not in_window,
    score = before and before.score, sender_back = before and before.sender_back, pool_back = before and before.pool_back,
  }
  if grant.counted then
    count(job, grant, at, in_sender, in_pool)
  elseif grant.score then
    rarely().give_back(job, grant)
  end
  job.grant = grant
  if job.mark then
    rarely().unmark(job)
  end
  if job.lies then
    rarely().unshelve(job)
  end
  save(job)
  if awaited and needs_place then
    rarely().wake(job.customer)
  end
  return granted(grant)
end

-- A reservation has booked its rate and pace; any other job books them now. Two
-- times are kept of a sender's rate: up to when it is booked (rate), and up to when
-- it is used (sent). Reservations that nobody took over for a while, and then all at
-- once, have booked what is past; the second keeps them apart, if for no longer than
-- a worker may well wait.
local function go(sender, in_window, awaited)
  local reserved, interval = job.grant, 1000000 / sender.mps
  if reserved and reserving then
    if not needs_place and reserved.pool == sender.pool and reserved.counted ~= in_window then
      return granted(reserved)
    end
    return give(sender, math.max(now, reserved.at), in_window, awaited)
  elseif reserved then
    local at = math.max(now, reserved.at, math.min(sender.sent, now + LATE + interval))
    if at - now > LATE then
      return rarely().park(sender, 'rate', '', math.ceil(at - HORIZON))
    end
    call('HSET', sender.hash, 'sent', at + interval)
    return give(sender, math.ceil(at), in_window, awaited)
  end
  local at, kept = book(sender.rate, interval)
  if not at then
    if kept < sender.rate then
      call('HSET', sender.hash, 'rate', kept, 'sent', math.min(kept, sender.sent))
    end
    return rarely().park(sender, 'rate', '', math.ceil(kept - HORIZON))
  end
  local last = in_sender or in_window and score_of(SENDER_WINDOW_KEY .. sender_name, customer)
  local turn = pace(PAIR_KEY .. sender_name .. ':' .. customer, at, last, not in_window)
  if turn then
    return rarely().park(sender, 'pair_rate', '', turn)
  end
  call('HSET', sender.hash, reserving and 'rate' or 'sent', kept) -- what is used is booked
  return give(sender, at, in_window, awaited)
end

local function decide()
  local all = call('HMGET', GATE_KEY, 'epoch', 'paused')
  if not is_epoch(all[1]) then
    return verdict('closed', {})
  end
  if job.known and (job.known ~= ARGV[2] or job.sender ~= sender_name) then
    return verdict('conflict', {})
  end
  local said = call('HMGET', CUSTOMER_KEY .. customer, sender_name, '*', '=', '#')
  if said[3] then
    customer = rarely().canonical(customer)
    said = call('HMGET', CUSTOMER_KEY .. customer, sender_name, '*', '=', '#')
  end
  job.digest, job.sender, job.customer = ARGV[2], sender_name, customer
  local answer
  if job.latest > 0 or job.status or job.outcome or job.canceled or ARGV[7] ~= '1' or ARGV[11] ~= '' then
    answer = rarely().known_before()
    if answer then
      return answer
    end
  end

  local sender = read_sender(sender_name, ARGV[5])
  if said[1] or said[2] or sender.require_opt_in then
    answer = rarely().suppressed(sender, said)
    if answer then
      return answer
    end
  end
  local wrote = call('GET', INBOUND_KEY .. sender_name .. ':' .. customer)
  local in_window = wrote and now < tonumber(wrote) + SERVICE
  if not in_window and ARGV[10] ~= '1' then
    return ARGV[10] == '2' and rarely().withheld() or rarely().finish('no_window', '')
  end

  if sender.member ~= sender.pool then
    rarely().join(sender, sender.pool)
  end
  local pool = read_pool(sender.pool)
  if job.grant and job.grant.pool ~= pool.name then
    rarely().give_back(job, job.grant)
  end
  local lacks_sender, lacks_pool = false, false
  local by_sender, by_pool = SENDER_WINDOW_KEY .. sender_name, POOL_WINDOW_KEY .. pool.name
  if not in_window then
    in_sender, in_pool = score_of(by_sender, customer), score_of(by_pool, customer)
    lacks_sender = not in_sender or in_sender <= cutoff
    lacks_pool = not in_pool or in_pool <= cutoff
    needs_place = lacks_sender or lacks_pool
  end
  if all[2] == '1' or sender.paused or sender.tripped_until > now or pool.paused or pool.closed then
    return rarely().paused(sender, pool, all[2] == '1')
  end
  if needs_place then
    local limit = priority ~= '0' and pool.limit > 0 and pool.limit - pool.reserved or pool.limit
    if pool.moving or sender.needs or pool.needs or not ample(by_sender, sender.limit) or not ample(by_pool, limit) then
      answer = rarely().no_place(sender, pool, lacks_sender, lacks_pool)
    end
  end
  return answer or go(sender, in_window, said[4])
end

return decide()
