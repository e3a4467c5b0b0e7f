package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/engine"
)

func TestASessionsOwnPropertiesWinOverTheCatalog(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	asked := map[string]string{
		"spark.sql.catalogImplementation":  "in-memory",
		"spark.hadoop.hive.metastore.uris": "thrift://other:9083",
		"spark.sql.warehouse.dir":          "s3://mine/",
	}
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir(), Catalog: "thrift://127.0.0.1:1", Properties: asked})
	must(t, err)
	for key, want := range asked {
		if launch.Spark[key] != want {
			t.Errorf("%s is %s", key, launch.Spark[key])
		}
	}
}

func TestTheMetastoresS3KeyIsInItsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	s3 := engine.S3{Endpoint: "http://127.0.0.1:7481", AccessKeyID: "AKID", Secret: "s3cr3t"}
	argv, env, hadoop := e.MetastoreCommand("/data/metastore/work/tmp", s3, []string{"-Xss512k"})
	if !slices.Contains(env, "AWS_ACCESS_KEY_ID=AKID") || !slices.Contains(env, "AWS_SECRET_ACCESS_KEY=s3cr3t") {
		t.Errorf("the environment is %v", env)
	}
	if !slices.Contains(argv, "-Xmx112m") || !slices.Contains(argv, "-Xss512k") || argv[len(argv)-2] != "-cp" {
		t.Errorf("the command is %v", argv)
	}
	for key, value := range hadoop {
		argv = append(argv, key+"="+value)
	}
	for _, word := range argv {
		if strings.Contains(word, "s3cr3t") || strings.Contains(word, "AKID") {
			t.Errorf("there is %q", word)
		}
	}
	if hadoop["fs.s3a.endpoint"] != s3.Endpoint {
		t.Errorf("S3 is %v", hadoop)
	}
}
