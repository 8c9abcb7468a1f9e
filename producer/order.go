package producer

import "iter"

// inOrder calls do for every item, on at most n of them at once, and emit with
// each result, in the order of the items. Items are asked for only as fast as
// they are worked on, from a goroutine of its own; do runs on others, emit on
// the caller's. All of them have ended when it returns.
func inOrder[T, R any](n int, items iter.Seq[T], do func(T) R, emit func(R)) {
	// Places in line: one is taken before the work begins and given up when
	// the result was emitted, so a slow item holds back at most n-1 results.
	places := make(chan struct{}, n)
	queue := make(chan chan R, n)
	go func() {
		defer close(queue)
		for it := range items {
			places <- struct{}{}
			result := make(chan R, 1)
			queue <- result
			go func() { result <- do(it) }()
		}
	}()
	for result := range queue {
		emit(<-result)
		<-places
	}
}
