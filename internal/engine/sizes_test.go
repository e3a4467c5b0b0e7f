package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/engine"
)

func TestMastersThatSparkKnows(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"local", "local[1]", "local[16]", "local[*]", "local-cluster[2,1,1024]", "local-cluster[1,4,450]",
		"spark://host:7077", "spark://10.0.0.1:7077,10.0.0.2:7077", "yarn", "k8s://https://10.0.0.1:6443", "k8s://host:443", "k8s://http://host"} {
		if m, err := engine.ParseMaster(text); err != nil || m.String() != text {
			t.Errorf("%s: %v %v", text, m, err)
		}
	}
	for _, text := range []string{" ", "Local", "local[", "local[0]", "local[-1]", "local[*,3]", "local[2] ", "local-cluster", "local-cluster[2,1]",
		"local-cluster[0,1,1024]", "local-cluster[2, 1, 1024]", "spark://", "spark://host", "spark://host:x", "spark://a:1,b", "yarn-client", "k8s://", "k8s:host",
		"mesos://host:5050", "http://host"} {
		if _, err := engine.ParseMaster(text); err == nil || !strings.Contains(err.Error(), "local-cluster[WORKERS,CORES,MEGABYTES]") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := engine.ParseMaster("local-cluster[2,1,300]"); err == nil || !strings.Contains(err.Error(), "does not start with less than 450") {
		t.Errorf("too small workers: %v", err)
	}
	if m, err := engine.ParseMaster(""); err != nil || m != (engine.Master{}) || m.String() != "local[*]" {
		t.Errorf("the default is %v, %v", m, err)
	}
}

func TestHowManyExecutorsASessionMayHave(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	for name, test := range map[string]struct {
		master  string
		maxDpus int
		asked   map[string]string
		want    map[string]string // "" is absent
	}{
		"the driver is the executor": {"local[*]", 5, nil, map[string]string{"dynamicAllocation.enabled": "", "dynamicAllocation.maxExecutors": "", "executor.cores": "", "cores.max": ""}},
		"a session of no size": {"yarn", 0, nil, map[string]string{
			"dynamicAllocation.enabled": "true", "dynamicAllocation.shuffleTracking.enabled": "true", "dynamicAllocation.minExecutors": "0",
			"dynamicAllocation.initialExecutors": "1", "dynamicAllocation.maxExecutors": "19", "dynamicAllocation.executorIdleTimeout": "60s",
			"executor.cores": "4", "executor.memory": "10g", "executor.memoryOverhead": "6g", "executor.instances": "", "cores.max": ""}},
		"the smallest":                 {"k8s://host:443", 2, nil, map[string]string{"dynamicAllocation.maxExecutors": "1", "dynamicAllocation.initialExecutors": "1"}},
		"a standalone cluster":         {"spark://h:7077", 4, nil, map[string]string{"dynamicAllocation.maxExecutors": "3", "executor.cores": "4", "cores.max": "12"}},
		"a worker's size":              {"local-cluster[2,3,2048]", 9, nil, map[string]string{"dynamicAllocation.maxExecutors": "8", "executor.cores": "3", "executor.memory": "2048m", "cores.max": "24"}},
		"more than a worker has":       {"local-cluster[2,1,1024]", 3, map[string]string{"executor.cores": "4", "executor.memory": "10g"}, map[string]string{"executor.cores": "1", "executor.memory": "1024m"}},
		"less than a worker has":       {"local-cluster[2,4,2048]", 3, map[string]string{"executor.cores": "2", "executor.memory": "1g"}, map[string]string{"executor.cores": "2", "executor.memory": "1g", "cores.max": "4"}},
		"what was asked for wins":      {"yarn", 20, map[string]string{"executor.cores": "2", "executor.memory": "4g", "dynamicAllocation.minExecutors": "3", "dynamicAllocation.maxExecutors": "5", "dynamicAllocation.executorIdleTimeout": "5s"}, map[string]string{"executor.cores": "2", "executor.memory": "4g", "dynamicAllocation.minExecutors": "3", "dynamicAllocation.maxExecutors": "5", "dynamicAllocation.executorIdleTimeout": "5s"}},
		"except more than the session": {"spark://h:7077", 3, map[string]string{"dynamicAllocation.minExecutors": "30", "dynamicAllocation.initialExecutors": "31", "dynamicAllocation.maxExecutors": "32", "executor.instances": "33", "cores.max": "1000"}, map[string]string{"dynamicAllocation.minExecutors": "2", "dynamicAllocation.initialExecutors": "2", "dynamicAllocation.maxExecutors": "2", "executor.instances": "2", "cores.max": "8"}},
		"a fixed number":               {"spark://h:7077", 6, map[string]string{"dynamicAllocation.enabled": "false", "executor.instances": "3", "executor.cores": "2"}, map[string]string{"executor.instances": "3", "cores.max": "6"}},
		"a fixed number, too many":     {"yarn", 3, map[string]string{"dynamicAllocation.enabled": " FALSE ", "executor.instances": " 9 "}, map[string]string{"executor.instances": "2"}},
		"no number":                    {"yarn", 2, map[string]string{"dynamicAllocation.enabled": "false"}, map[string]string{"executor.instances": "1"}},
		"what is no number is Spark's": {"local-cluster[2,1,1024]", 3, map[string]string{"executor.cores": "two", "executor.memory": "lots", "dynamicAllocation.maxExecutors": "many"}, map[string]string{"executor.cores": "two", "executor.memory": "lots", "dynamicAllocation.maxExecutors": "many", "cores.max": ""}},
		"a very large session":         {"yarn", 5000, nil, map[string]string{"ui.retainedDeadExecutors": "4999"}},
	} {
		m, err := engine.ParseMaster(test.master)
		must(t, err)
		asked := map[string]string{}
		for key, value := range test.asked {
			asked["spark."+key] = value
		}
		launch, err := e.Launch(engine.LaunchSpec{WorkDir: "/w", Home: "/h", Master: m, Secret: "s3cr3t", MaxDpus: test.maxDpus, Properties: asked})
		must(t, err)
		for key, want := range test.want {
			if got := launch.Spark["spark."+key]; got != want {
				t.Errorf("%s: spark.%s is %q, want %q", name, key, got, want)
			}
		}
	}
}

func TestOnlyALocalMastersSparkIsKeptOnLoopback(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	for text, loopback := range map[string]bool{"local[2]": true, "local-cluster[2,1,1024]": true, "spark://h:7077": false, "yarn": false} {
		m, err := engine.ParseMaster(text)
		must(t, err)
		launch, err := e.Launch(engine.LaunchSpec{WorkDir: "/w", Home: "/h", Master: m, Secret: "s3cr3t"})
		must(t, err)
		_, bound := launch.Spark["spark.driver.bindAddress"]
		_, ip := launch.Java.Env["SPARK_LOCAL_IP"]
		if bound != loopback || ip != loopback || launch.Spark["spark.authenticate"] != "true" || launch.Spark["spark.master"] != text {
			t.Errorf("%s: bound %t, environment %t, %v", text, bound, ip, launch.Spark)
		}
		for _, word := range slices.Concat(launch.Java.Argv, launch.Env) {
			if strings.Contains(word, "s3cr3t") {
				t.Errorf("%s: there is %q", text, word)
			}
		}
		if text != "local[2]" && launch.Spark["spark.authenticate.secret"] != "s3cr3t" {
			t.Errorf("%s: no secret", text)
		}
	}
}

func TestMemoryOfASession(t *testing.T) {
	t.Parallel()
	const mib = int64(1) << 20
	cluster, err := engine.ParseMaster("local-cluster[2,1,1024]")
	must(t, err)
	for _, c := range []struct {
		memory string
		master engine.Master
		dpus   int
		want   int64
	}{
		{"", engine.Master{}, 0, 1424},
		{"2g", engine.Master{}, 0, 2448},
		{"nonsense", engine.Master{}, 0, 1424},
		{"", cluster, 0, 1424 + 2*1424},
		{"", cluster, 2, 1424 + 1424},
		{"8796093022207m", engine.Master{}, 0, 1<<25 + 400},
	} {
		properties := map[string]string{}
		if c.memory != "" {
			properties["spark.driver.memory"] = c.memory
		}
		if got := engine.Memory(properties, c.master, c.dpus); got != c.want*mib {
			t.Errorf("%q, %s, %d: %d MiB, want %d", c.memory, c.master, c.dpus, got/mib, c.want)
		}
	}
}
