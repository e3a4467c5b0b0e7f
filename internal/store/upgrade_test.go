package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// released are the schemas that released versions have written, with the digests
// of their migrations: a migration that users' databases have run never changes.
var released = map[string]string{
	"00001_first.sql":                 "7bc3cdbe21d4d84b454ab4749baeb6ca94e87961899892cafbcbd4dcbe43935a",
	"00002_workgroups_and_limits.sql": "5a4de915a3466acb3fcfed53cfaa312d4252f3e2cc3f389c9747380a49cadc99",
	"00003_debts.sql":                 "a771defc8a017de22b93b0b6365e6e7b4c29e70e30564d15b768865996b561df",
	"00004_ends.sql":                  "6b6217f1b66048198eb46a0cc6dd721e6f21f771ab036f72cf25b43aa2000f5e",
	"00005_expiry.sql":                "8fba11035e4819ce71806869bfe67f93d40b2bbe8d6cbef22f937396e5ff46ee",
}

func TestReleasedMigrationsNeverChange(t *testing.T) {
	t.Parallel()
	for name, want := range released {
		text, err := os.ReadFile(filepath.Join("migrations", name))
		must(t, err)
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has changed; add another migration instead", name)
		}
		if strings.Contains(string(text), "goose Down") {
			t.Errorf("%s leads back", name)
		}
	}
}

// goldenAt makes a database of an old schema with what testdata has for it, and returns its path.
func goldenAt(t *testing.T, version int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ergane.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)")
	must(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	must(t, err)
	_, err = p.UpTo(t.Context(), version)
	must(t, err)
	rows, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", version))
	must(t, err)
	_, err = db.Exec(string(rows))
	must(t, err)
	return path
}

const (
	goldenLive  = "00000000-0000-4000-8000-00000000a11e"
	goldenEnded = "00000000-0000-4000-8000-00000000dead"
	goldenCalc  = "00000000-0000-4000-8000-0000000000c" // and its number
)

func TestEveryReleasedSchemaIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	for version := range int64(len(released)) {
		t.Run(fmt.Sprint(version+1), func(t *testing.T) {
			t.Parallel()
			path := goldenAt(t, version+1)
			for range 2 { // a second time changes nothing
				s, err := store.Open(t.Context(), path)
				must(t, err)
				golden(t, s, version+1)
				must(t, s.Close())
			}
		})
	}
}

// golden checks that what testdata has of a schema is all there.
func golden(t *testing.T, s *store.Store, version int64) {
	t.Helper()
	ctx := t.Context()
	group, err := s.WorkGroup(ctx, "sales")
	must(t, err)
	if group.State != ergane.WorkGroupDisabled || len(group.Tags) != 1 || group.Description != "their own" {
		t.Errorf("the workgroup is %+v", group)
	}
	_, err = s.TakeOver(ctx, "server", dawn)
	must(t, err)
	live, err := s.LiveSessions(ctx, "server")
	must(t, err)
	if len(live) != 1 || live[0].ID != goldenLive {
		t.Fatalf("live sessions: %+v", live)
	}
	n := live[0]
	if string(n.Monitoring) != `{"S3LoggingConfiguration":{"Enabled":true,"LogLocation":"s3://logs"}}` || n.Engine.MaxConcurrentDpus != 2 ||
		n.IdleTimeout != 20*time.Minute || len(n.Tags) != 1 || n.Status.IdleSince.UnixMilli() != 1795000004000 || n.DpuMillis != 7 {
		t.Errorf("the session is %+v", n)
	}
	if version > 1 && (n.Dpus != 2 || n.Memory != 1<<30 || n.BucketOwner != "111122223333") {
		t.Errorf("the session has %d DPUs, %d bytes, owner %q", n.Dpus, n.Memory, n.BucketOwner)
	}
	made, found, err := s.SessionOf(ctx, []ergane.Token{{Scope: "StartSession", Value: "tok", Hash: "h"}}, dawn)
	if err != nil || !found || made.ID != goldenLive {
		t.Errorf("the token finds %+v: %v", made, err)
	}
	executors, err := s.Executors(ctx, goldenLive, nil, ergane.Page{Limit: 10})
	if err != nil || len(executors) != 1 || executors[0].State != ergane.ExecutorRegistered {
		t.Errorf("executors %+v: %v", executors, err)
	}
	c, err := s.Calculation(ctx, goldenCalc+"1")
	must(t, err)
	if c.Status.State != ergane.CalculationCompleted || c.Result == nil || c.Result.StdOut != "s3://results/c1/stdout" || c.Statistics.DpuMillis != 7 {
		t.Errorf("the calculation is %+v", c)
	}
	code, err := s.CalculationCode(ctx, goldenCalc+"1")
	if err != nil || code != "print(1)" {
		t.Errorf("its code is %q: %v", code, err)
	}
	pending, err := s.PendingDeliveries(ctx)
	must(t, err)
	if want := version >= 3; (len(pending) == 1 && pending[0].ID == goldenCalc+"2" && pending[0].Undelivered.Stdout.End == 9) != want {
		t.Errorf("pending %+v", pending)
	}
	// What an old defect left open has an end.
	for id, at := range map[string]int64{goldenCalc + "3": 1795000009000, goldenCalc + "4": 1795000009500} {
		c, err := s.Calculation(ctx, id)
		must(t, err)
		if c.Status.State != ergane.CalculationFailed || c.Status.CompletedAt.UnixMilli() != at || !strings.Contains(c.Status.Reason, "earlier version of Ergane") {
			t.Errorf("the calculation that was left open is %+v", c.Status)
		}
	}
	open, err := s.OpenCalculations(ctx, goldenEnded)
	if err != nil || len(open) != 0 {
		t.Errorf("open calculations of an ended session: %+v, %v", open, err)
	}
}

func TestANewerDatabaseIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	path := goldenAt(t, int64(len(released)))
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (987, true)")
	must(t, err)
	must(t, db.Close())
	before, err := os.ReadFile(path)
	must(t, err)
	s, err := store.Open(t.Context(), path)
	if err == nil {
		must(t, s.Close())
		t.Fatal("opened")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database was changed (%v)", err)
	}
}

// migrateEnv makes the test's binary one that opens the database it names, and ends.
const migrateEnv = "ERGANE_TEST_STORE_OPENER"

func openChild(path string) {
	s, err := store.Open(context.Background(), path)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestAKilledMigrationIsContinued kills the migration of an old database, each
// time later, until one is complete.
func TestAKilledMigrationIsContinued(t *testing.T) {
	t.Parallel()
	path := goldenAt(t, 1)
	many(t, path, 20_000)
	killed := 0
	for wait := time.Millisecond; ; wait += wait / 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), migrateEnv+"="+path)
		var said strings.Builder
		cmd.Stderr = &said
		must(t, cmd.Start())
		kill := time.AfterFunc(wait, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		kill.Stop()
		if err == nil {
			break
		}
		if said.Len() > 0 {
			t.Fatalf("after %d kills: %s", killed, said.String())
		}
		killed++
	}
	if killed == 0 {
		t.Error("nothing was killed")
	}
	s := openAt(t, path)
	golden(t, s, 1)
	var n int
	must(t, s.Readers().QueryRow("SELECT count(*) FROM sessions WHERE monitoring = 'x' AND dpus = 0").Scan(&n))
	if n != 20_000 {
		t.Errorf("%d of 20000 sessions are left", n)
	}
	var verdict string
	must(t, s.Readers().QueryRow("PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("the database is damaged: %s", verdict)
	}
}

// many adds ended sessions to a database of the first schema.
func many(t *testing.T, path string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
		INSERT INTO sessions SELECT 'many-' || n, workgroup, description, engine_selected, engine_effective, engine, execution_role, idle_timeout_ms,
			working_directory, encryption, notebook_version, tags, 'x', state, reason, started_ms, modified_ms, ended_ms, idle_ms, dpu_ms
		FROM sessions, i WHERE id = ?`, n, goldenEnded)
	must(t, err)
}
