#include "app/cli_mirror_proof.h"

#include "app/cmd_mirror_proof.h"
#include "app/interrupt.h"

namespace lt::app {

namespace {

void add_places(CLI::App* command, ProofPlaces& places) {
  command->add_option("--config", places.config_path, "the site's config, for example /etc/linktune/office.toml")->required();
  command->add_option("--jobs", places.jobs_path, "the file with the mirror's sections (default: the site's config)");
  command->add_option("--through", places.through,
                      "a program that is called as ssh is, instead of the other site's agent, one word each: --through ssh --through root@10.77.0.2");
}

void add_verify(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<VerifyCommand>();
  CLI::App* command = add_command(group, shell, "verify", "compare the copies with their sources: snapshots by GUID, files by rolling hashes");
  command->add_option("JOB", options->job, "a job of the config (default: all)");
  add_places(command, options->places);
  command->add_option("--mib", options->mebibytes, "stop after so many MiB of each dataset; the next verify goes on there");
  command->add_option("--minutes", options->minutes, "stop after so many minutes for each dataset; the next verify goes on there");
  command->add_flag("--from-start", options->from_start, "begin anew instead of where the last one stopped");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_verify(*options, interrupt.token());
    };
  });
}

void add_drill(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<DrillCommand>();
  CLI::App* command = add_command(group, shell, "drill", "practise a restore into a scratch place, timed and compared");
  command->add_option("JOB", options->job, "a job of the config (not needed where there is one)");
  add_places(command, options->places);
  command->add_option("--files", options->files, "how many files are drawn at random from each dataset")->check(CLI::Range(1, 10'000))->capture_default_str();
  command->add_flag("--whole", options->whole, "restore whole datasets below [mirror] scratch instead");
  command->callback([&shell, options] {
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_drill(*options, interrupt.token());
    };
  });
}

void add_restore(CLI::App& group, Shell& shell) {
  const auto options = std::make_shared<RestoreCommand>();
  const auto no_verify = std::make_shared<bool>(false);
  CLI::App* command = add_command(group, shell, "restore", "bring a file, a dataset or a lost pool back from the other site, with snapshots");
  command->add_option("JOB", options->job, "a job of the config (not needed where there is one)");
  add_places(command, options->places);
  command->add_option("--dataset", options->dataset, "only this one of the job's source, and what is below it");
  command->add_option("--file", options->file, "only this file or folder, by its path within the dataset");
  command->add_option("--snapshot", options->snapshot, "of --file: a snapshot's name (default: the newest)");
  command->add_option("--to", options->to, "another dataset, or the path for --file (default: where it was)");
  command->add_option("--create-pool", options->create_pool, "make the pool first, by these words behind zpool create, one each: --create-pool tank --create-pool mirror --create-pool /dev/sda ...");
  command->add_flag("--dry-run", options->dry_run, "say what would be done, and change nothing");
  command->add_flag("--no-verify", *no_verify, "do not compare the files afterwards");
  command->footer("What is there is never overwritten. A restore that was interrupted goes on when it is begun again.");
  command->callback([&shell, options, no_verify] {
    options->verify = !*no_verify;
    shell.command = [options](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_restore(*options, interrupt.token());
    };
  });
}

void add_seed(CLI::App& group, Shell& shell) {
  CLI::App* seed = group.add_subcommand("seed", "begin a mirror with a carried disk instead of the line");
  seed->require_subcommand(1);

  const auto exported = std::make_shared<SeedExportCommand>();
  CLI::App* command = add_command(*seed, shell, "export", "write a job's datasets with their snapshots into a folder of a disk");
  command->add_option("JOB", exported->job, "a job of the config (not needed where there is one)");
  command->add_option("--config", exported->places.config_path, "the site's config")->required();
  command->add_option("--jobs", exported->places.jobs_path, "the file with the mirror's sections (default: the site's config)");
  command->add_option("--to", exported->folder, "an empty folder of the disk")->required();
  command->callback([&shell, exported] {
    shell.command = [exported](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_seed_export(*exported, interrupt.token());
    };
  });

  const auto imported = std::make_shared<SeedImportCommand>();
  command = add_command(*seed, shell, "import", "receive such a folder, after every byte of it was checked");
  command->add_option("FOLDER", imported->folder, "what export wrote")->required();
  command->add_option("--to", imported->to, "the dataset that becomes the copy, as the job names it")->required();
  command->callback([&shell, imported] {
    shell.command = [imported](Log&) -> Result<Outcome> {
      const Interrupt interrupt;
      return run_mirror_seed_import(*imported, interrupt.token());
    };
  });
}

void add_tree(CLI::App& group, Shell& shell) {
  const auto snapshot = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand("tree", "answer questions about the files of a snapshot; started by the agent, not by people");
  command->group("");
  command->add_option("SNAPSHOT", *snapshot, "DATASET@NAME")->required();
  command->callback([&shell, snapshot] { shell.command = [snapshot](Log&) { return run_mirror_tree(*snapshot); }; });
}

}  // namespace

void add_mirror_proof(CLI::App& group, Shell& shell) {
  add_verify(group, shell);
  add_drill(group, shell);
  add_restore(group, shell);
  add_seed(group, shell);
  add_tree(group, shell);
}

}  // namespace lt::app
