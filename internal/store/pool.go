package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// A pool is some connections and the statements prepared on them, by text.
// The texts are a bounded set: they differ only in how many states they name.
type pool struct {
	dialect dialect
	db      *sql.DB
	mu      sync.RWMutex
	stmts   map[string]*sql.Stmt // guarded by mu
}

// newPool makes a pool of at most so many connections to a data source of the driver.
func newPool(d dialect, source string, connections int) (*pool, error) {
	db, err := sql.Open(d.driver, source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return &pool{dialect: d, db: db, stmts: map[string]*sql.Stmt{}}, nil
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.stmts {
		errs = append(errs, s.Close())
	}
	p.stmts = nil
	return errors.Join(append(errs, p.db.Close())...)
}

func (p *pool) translate(err error) error { return p.dialect.translate(err) }

func (p *pool) cached(text string) *sql.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.stmts[text]
}

// prepare returns the statement of a text, which lives as long as the pool.
func (p *pool) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := p.cached(text); s != nil {
		return s, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stmts == nil {
		return nil, sql.ErrConnDone
	}
	if s := p.stmts[text]; s != nil {
		return s, nil
	}
	s, err := p.db.PrepareContext(ctx, text)
	if err == nil {
		p.stmts[text] = s
	}
	return s, err
}

// A tx is a transaction on a pool of one connection.
type tx struct {
	*sql.Tx
	pool *pool
	news []string // texts that the pool has no statement for yet
}

// transact runs do in a transaction and commits it if do returns no error.
func (p *pool) transact(ctx context.Context, do func(context.Context, *tx) error) error {
	begun, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &tx{Tx: begun, pool: p}
	if err := do(ctx, t); err != nil {
		// The database may have rolled back by itself; err is the reason.
		_ = t.Rollback()
		return err
	}
	if err := t.Commit(); err != nil {
		return err
	}
	for _, text := range t.news {
		// If this fails, only the next transaction is slower.
		_, _ = p.prepare(ctx, text)
	}
	return nil
}

func (t *tx) translate(err error) error { return t.pool.translate(err) }

// prepare returns the statement of a text for this transaction. A new text
// cannot be added to the pool yet: the transaction has the pool's one connection.
func (t *tx) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := t.pool.cached(text); s != nil {
		return t.StmtContext(ctx, s), nil
	}
	t.news = append(t.news, text)
	return t.PrepareContext(ctx, text)
}
