package session

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

const (
	// demandFor is how long after the start of a session the pool keeps a kernel of
	// its shape.
	demandFor = 10 * time.Minute
	// burst is about how long a kernel takes to be ready: sessions that start
	// within this time need one each.
	burst = 30 * time.Second
	// maxAsked bounds how many starts are remembered for one shape.
	maxAsked = 64
)

// demand is when sessions of a shape started lately.
type demand struct {
	like  ergane.Session
	asked []time.Time // oldest first
}

// peak is the most sessions that began within one burst, in the last demandFor.
func (d *demand) peak(now time.Time) (most int) {
	d.asked = slices.DeleteFunc(d.asked, func(t time.Time) bool { return now.Sub(t) > demandFor })
	for i, t := range d.asked {
		n := 0
		for _, other := range d.asked[i:] {
			if other.Sub(t) <= burst {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// note remembers that a session of a shape was started. The caller holds mu.
func (p *pool) note(shape string, like ergane.Session) {
	d := p.demand[shape]
	if d == nil {
		d = &demand{}
		p.demand[shape] = d
	}
	d.like = like
	if len(d.asked) == maxAsked {
		d.asked = d.asked[1:]
	}
	d.asked = append(d.asked, time.Now())
}

// A want is how many kernels of a shape there should be.
type want struct {
	shape string
	like  ergane.Session
	n     int
}

// wanted lists the shapes that there should be kernels of, those of the
// configuration first. It is false while that is not known.
func (p *pool) wanted(ctx context.Context) (_ []want, ok bool) {
	var all []want
	add := func(shape string, like ergane.Session, n int) {
		i := slices.IndexFunc(all, func(w want) bool { return w.shape == shape })
		if i < 0 {
			all = append(all, want{shape: shape, like: like})
			i = len(all) - 1
		}
		all[i].n = max(all[i].n, n)
	}
	sizes := map[string]int{ergane.PrimaryWorkGroup: p.cfg.Size}
	maps.Copy(sizes, p.cfg.WorkGroups)
	for _, name := range slices.Sorted(maps.Keys(sizes)) { // in the same order each time: there may not be room for all
		w, err := p.m.store.WorkGroup(ctx, name)
		switch {
		case ergane.CodeOf(err) == ergane.CodeNotFound:
			continue
		case err != nil:
			p.log.Warn("cannot tell which kernels to start ahead", "workgroup", name, "error", err)
			return nil, false
		}
		s, err := p.m.newSession(w, StartRequest{WorkGroup: name})
		if err != nil {
			continue // no session of its own settings can start
		}
		if shape, like := p.m.host.Shape(s); shape != "" {
			add(shape, like, sizes[name])
		}
	}
	if len(all) == 0 {
		return nil, false // the engine is not there yet
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, shape := range slices.Sorted(maps.Keys(p.demand)) {
		d := p.demand[shape]
		n := d.peak(time.Now())
		if n == 0 {
			delete(p.demand, shape)
			continue
		}
		add(shape, d.like, n)
	}
	return p.within(ctx, all), true
}

// within reduces the kernels wanted to those that there is room for.
func (p *pool) within(ctx context.Context, all []want) []want {
	count, memory := p.cfg.Max, int64(math.MaxInt64)
	if limit := p.m.cfg.Limits.Memory; limit > 0 {
		live, err := p.m.store.LiveSessions(ctx, p.m.cfg.Server)
		if err != nil {
			return nil // without the store no session can start, either
		}
		memory = limit
		for _, s := range live {
			memory -= s.Memory
		}
	}
	for i := range all {
		w := &all[i]
		w.n = min(w.n, count, int(min(max(0, memory)/max(1, w.like.Memory), math.MaxInt32)))
		count -= w.n
		memory -= int64(w.n) * w.like.Memory
	}
	return all
}

// surplus takes out of the pool the kernels that are dead, too old, or more than wanted.
func (p *pool) surplus(all []want) (over []*waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := map[string]int{}
	for _, w := range all {
		room[w.shape] = w.n
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiting) bool {
		if !alive(w.k) || time.Since(w.at) > p.cfg.Age || room[w.shape] == 0 {
			over = append(over, w)
			return true
		}
		room[w.shape]--
		return false
	})
	return over
}

// missing returns the kernels to start now, and counts them as warming. No more
// than half of Config.Starts are being started at once, but at least one.
func (p *pool) missing(all []want) (next []*waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.rests) {
		return nil
	}
	have := map[string]int{}
	for _, w := range slices.Concat(p.waiting, p.warming, p.taken) {
		have[w.shape]++
	}
	for _, want := range all {
		for range want.n - have[want.shape] {
			id, err := uuid.NewV7()
			if err != nil || len(p.warming) >= max(1, p.m.cfg.Starts/2) {
				return next
			}
			w := &waiting{id: id.String(), shape: want.shape, at: time.Now(), like: want.like}
			w.like.ID = w.id
			p.ids[w.id] = true
			p.warming, next = append(p.warming, w), append(next, w)
		}
	}
	return next
}
