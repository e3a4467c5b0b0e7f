package session

import (
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// saveFigures is how often the progress of calculations is saved: all that
	// changed, in one write.
	saveFigures = 5 * time.Second
	// lastFigures bounds the last such write, when the server stops.
	lastFigures = 2 * time.Second
)

// figures are the progress and the DPU use of running calculations. Reads show
// them from memory; the store keeps them for the next server.
type figures struct {
	mu      sync.Mutex
	now     map[string]ergane.CalculationStatistics // by calculation id; guarded by mu
	changed map[string]ergane.CalculationStatistics // since they were saved; guarded by mu
}

func newFigures() *figures {
	return &figures{now: map[string]ergane.CalculationStatistics{}, changed: map[string]ergane.CalculationStatistics{}}
}

func (f *figures) set(id string, s ergane.CalculationStatistics) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now[id] != s {
		f.now[id], f.changed[id] = s, s
	}
}

// forget drops the figures of a calculation that has ended.
func (f *figures) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now, id)
	delete(f.changed, id)
}

// shown returns a calculation from the store with its present figures.
func (f *figures) shown(c ergane.Calculation) ergane.Calculation {
	if c.Status.State.Terminal() {
		return c
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, ok := f.now[c.ID]; ok {
		c.Statistics = ergane.CalculationStatistics{
			Progress:  now.Progress,
			DpuMillis: max(now.DpuMillis, c.Statistics.DpuMillis),
		}
	}
	return c
}

// take returns the figures that are not saved yet.
func (f *figures) take() map[string]ergane.CalculationStatistics {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.changed
	f.changed = map[string]ergane.CalculationStatistics{}
	return taken
}

// putBack undoes take, except for calculations that have newer figures or have ended.
func (f *figures) putBack(taken map[string]ergane.CalculationStatistics) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range taken {
		if s, ok := f.now[id]; ok {
			f.changed[id] = s
		}
	}
}

// keepFigures saves the figures until the server stops, and then once more.
func (m *Manager) keepFigures() {
	for pause(m.ctx, saveFigures) {
		m.saveFigures(m.ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), lastFigures)
	defer cancel()
	m.saveFigures(ctx)
}

func (m *Manager) saveFigures(ctx context.Context) {
	taken := m.figures.take()
	if len(taken) == 0 {
		return
	}
	if err := m.store.SetProgress(ctx, taken); err != nil {
		m.figures.putBack(taken)
		if ctx.Err() == nil {
			m.log.Warn("cannot record progress; trying again", "error", err)
		}
	}
}
