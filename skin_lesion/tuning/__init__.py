"""The search for hyper-parameters.

Trials train on the training lesions and are judged on the validation lesions. Nothing in here is ever
given a picture or a label of the test split.

    search = read_search(Path("configs/search/learning.yaml"), recipe)
    with Study.open(folder, identity, search) as study:
        study.run(TrainingObjective(data, study.folder, run), trials=20)
        summary = study.summary()
"""
