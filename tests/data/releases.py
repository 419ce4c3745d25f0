"""Small releases in the layouts of their owners: headers and quirks as documented, images drawn.

``write_release(name, directory)`` writes the release of that source; each writer returns nothing.
Every image is a few pixels, and differs from the others.
"""

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, size: tuple[int, int] = (12, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4], "little")
    pixels = np.random.default_rng(seed).integers(60, 220, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def isic2017(root: Path) -> None:
    parts = {"Training": [0, 1, 2], "Validation": [3], "Test_v2": [4]}
    for part, numbers in parts.items():
        ids = [f"ISIC_000000{n}" for n in numbers]
        truth = [
            (name, float(n % 3 == 0), float(n % 3 == 1))
            for name, n in zip(ids, numbers, strict=False)
        ]
        write_csv(
            root / f"ISIC-2017_{part}_Part3_GroundTruth.csv",
            "image_id,melanoma,seborrheic_keratosis",
            truth,
        )
        folder = root / f"ISIC-2017_{part}_Data"
        people = [
            (name, "unknown" if n == 1 else 55, "female")
            for name, n in zip(ids, numbers, strict=False)
        ]
        write_csv(folder / f"{folder.name}_metadata.csv", "image_id,age_approximate,sex", people)
        for name in ids:
            write_image(folder / f"{name}.jpg")
            write_image(folder / f"{name}_superpixels.png")


def isic2018(root: Path) -> None:
    classes = "MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    ids = [f"ISIC_002430{n}" for n in range(6)]
    truth = [(name, *(float(k == i) for k in range(7))) for i, name in enumerate(ids)]
    top = "ISIC2018_Task3_Training_GroundTruth"
    write_csv(root / top / f"{top}.csv", f"image,{classes}", truth)
    lesions = [(name, f"HAM_000{i // 2}", "histopathology") for i, name in enumerate(ids)]
    write_csv(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        lesions,
    )
    for name in ids:
        write_image(root / "ISIC2018_Task3_Training_Input" / f"{name}.jpg")
    test = "ISIC2018_Task3_Test_GroundTruth"
    write_csv(
        root / test / f"{test}.csv", f"image,{classes}", [("ISIC_0034524", 0, 1, 0, 0, 0, 0, 0)]
    )
    write_image(root / "ISIC2018_Task3_Test_Input" / "ISIC_0034524.jpg")


def isic2019(root: Path) -> None:
    ids = [f"ISIC_000{n:04d}" for n in range(9)]
    ids[0] += "_downsampled"
    truth = [(name, *(float(k == i) for k in range(9))) for i, name in enumerate(ids)]
    header = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    write_csv(root / "ISIC_2019_Training_GroundTruth.csv", header, truth)
    people = [
        (name, "" if i == 2 else 5 * i + 30, "anterior torso", f"BCN_000{i}", "male")
        for i, name in enumerate(ids)
    ]
    people[3] = (ids[3], 80, "", "", "")
    write_csv(
        root / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        people,
    )
    for name in ids:
        write_image(root / "ISIC_2019_Training_Input" / f"{name}.jpg")


def isic2020(root: Path) -> None:
    header = (
        "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,"
        "diagnosis,benign_malignant,target"
    )
    rows: list[tuple[object, ...]] = [
        (
            "ISIC_2637011",
            "IP_7279968",
            "IL_7972535",
            "male",
            45,
            "head/neck",
            "unknown",
            "benign",
            0,
        ),
        (
            "ISIC_0015719",
            "IP_3075186",
            "IL_4649854",
            "female",
            45,
            "upper extremity",
            "unknown",
            "benign",
            0,
        ),
        (
            "ISIC_0052212",
            "IP_2842074",
            "IL_9087444",
            "female",
            50,
            "lower extremity",
            "nevus",
            "benign",
            0,
        ),
        ("ISIC_0068279", "IP_2842074", "IL_4255399", "", "", "", "unknown", "benign", 0),
        (
            "ISIC_0149568",
            "IP_0962375",
            "IL_1223334",
            "female",
            55,
            "torso",
            "melanoma",
            "malignant",
            1,
        ),
    ]
    write_csv(root / "ISIC_2020_Training_GroundTruth_v2.csv", header, rows)
    write_csv(
        root / "ISIC_2020_Training_Duplicates.csv",
        "image_name_1,image_name_2",
        [("ISIC_0015719", "ISIC_0068279")],
    )
    for row in rows:
        write_image(root / "train" / f"{row[0]}.jpg")


def isic2024(root: Path) -> None:
    ids = ["ISIC_0015670", "ISIC_0015845", "ISIC_0015864", "ISIC_9999967"]
    write_csv(
        root / "ISIC_2024_Training_GroundTruth.csv",
        "isic_id,malignant",
        [(name, float(name.endswith("67"))) for name in ids],
    )
    write_csv(
        root / "ISIC_2024_Training_Supplement.csv",
        "isic_id,mel_mitotic_index,mel_thick_mm,tbp_lv_dnn_lesion_confidence,lesion_id,iddx_full",
        [
            (
                name,
                "",
                0.3 if name.endswith("67") else "",
                97.5,
                "IL_1" if i == 3 else "",
                "Malignant::Melanoma" if i == 3 else "Benign",
            )
            for i, name in enumerate(ids)
        ],
    )
    folder = root / "ISIC_2024_Training_Input"
    write_csv(
        folder / "metadata.csv",
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,image_type,"
        "patient_id,sex,tbp_lv_Lext,tbp_lv_Aext,tbp_lv_Bext",
        [
            (
                name,
                "MSKCC",
                "CC-BY",
                60,
                "lower extremity",
                "TBP tile: close-up",
                f"IP_{i // 2}",
                "male",
                54.4,
                11.0,
                20.0,
            )
            for i, name in enumerate(ids)
        ],
    )
    for name in ids:
        write_image(folder / f"{name}.jpg")


def ham10000(root: Path) -> None:
    classes = ["bkl", "nv", "mel", "akiec", "bcc", "df", "vasc"]
    rows = [
        (
            f"HAM_000{i // 2}",
            f"ISIC_002741{i}",
            dx,
            "histo",
            "" if i == 6 else 80.0,
            ("male", "female", "unknown")[i % 3],
            "unknown" if i == 5 else "scalp",
            "vidir_modern",
        )
        for i, dx in enumerate(classes)
    ]
    write_csv(
        root / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
        rows,
    )
    for i, row in enumerate(rows):
        write_image(root / f"HAM10000_images_part_{1 + i % 2}" / f"{row[1]}.jpg")


def bcn20000(root: Path) -> None:
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,anatom_site_special,"
        "concomitant_biopsy,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_confirm_type,"
        "image_type,lesion_id,melanocytic,sex"
    )
    kinds = [
        ("Benign", "Benign melanocytic proliferations", "Nevus"),
        ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS"),
        ("Malignant", "Malignant adnexal epithelial proliferations", "Basal cell carcinoma"),
        ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis"),
        ("Indeterminate", "Indeterminate melanocytic proliferations", "Atypical Spitz tumor"),
        ("", "", ""),
    ]
    ids = [f"ISIC_005340{n}" for n in range(6)]
    rows = [
        (
            name,
            "Hospital Clínic de Barcelona",
            "CC-BY-NC",
            55,
            "anterior torso",
            "",
            "True",
            *kind,
            "histopathology",
            "dermoscopic",
            f"IL_{i}",
            "True",
            "female",
        )
        for i, (name, kind) in enumerate(zip(ids, kinds, strict=False))
    ]
    write_csv(root / "bcn20000_metadata_2025-05-22.csv", header, rows)
    for name in ids:
        write_image(root / "ISIC-images" / f"{name}.jpg")


def bcn20000_figshare(root: Path) -> None:
    header = (
        "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split"
    )
    names = [f"BCN_000000000{n}.jpg" for n in range(1, 4)]
    rows = [
        (name, 55.0, "anterior torso", dx, f"BCN_000388{i}", "2012-05-16", "male", "train")
        for i, (name, dx) in enumerate(zip(names, ["MEL", "AK", "NV"], strict=False))
    ]
    write_csv(root / "bcn_20k_train.csv", header, rows)
    test = header.replace("diagnosis,", "")
    write_csv(
        root / "bcn_20k_test.csv",
        test,
        [("BCN_0000000009.jpg", 60.0, "oral/genital", "BCN_9", "2013-05-16", "female", "test")],
    )
    for name in names:
        write_image(root / "BCN_20k_train" / "bcn_20k_train" / name)
    write_image(root / "BCN_20k_test" / "bcn_20k_test" / "BCN_0000000009.jpg")


FITZPATRICK_HEADER = (
    "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
    "three_partition_label,qc,url,url_alphanum"
)


def fitzpatrick17k(root: Path) -> None:
    atlas = "http://atlasdermatologico.com.br/img?imageId="
    site = "https://www.dermaamin.com/site/images/clinical-pic/"
    rows = [
        ("lichen planus", "inflammatory", "non-neoplastic", "", f"{site}l/lichen1.jpg", 3, 3),
        ("dermatofibroma", "benign dermal", "benign", "", f"{site}d/dermatofibroma71.jpg", 2, 3),
        ("melanoma", "malignant melanoma", "malignant", "1 Diagnostic", f"{atlas}5005", 5, 6),
        ("mycosis fungoides", "malignant cutaneous lymphoma", "malignant", "", f"{atlas}12", 6, -1),
        (
            "superficial spreading melanoma ssm",
            "malignant melanoma",
            "malignant",
            "3 Wrongly labelled",
            f"{site}s/ssm3.jpg",
            1,
            1,
        ),
        ("seborrheic keratosis", "benign epidermal", "benign", "", "", 4, 4),
        ("basal cell carcinoma", "malignant epidermal", "malignant", "", f"{atlas}77", -1, 2),
        ("actinic keratosis", "malignant epidermal", "malignant", "", f"{atlas}78", -1, -1),
    ]
    table: list[tuple[object, ...]] = []
    for label, nine, three, qc, url, scale, centaur in rows:
        md5 = hashlib.md5(label.encode()).hexdigest()
        plain = "".join(c for c in url if c.isalnum()) + ".jpg"
        table.append((md5, scale, centaur, label, nine, three, qc, url, plain))
        named_by_url = label == "dermatofibroma"
        write_image(root / "images" / (plain if named_by_url else f"{md5}.jpg"))
    write_csv(root / "fitzpatrick17k.csv", FITZPATRICK_HEADER, table)
    parts = ["train", "valid", "test"]
    kept = [(row[0], part, row[1]) for row, part in zip(table[1:], parts, strict=False)]
    write_csv(root / "Fitzpatrick17k-C.csv", "md5hash,partition,fst", kept)


def mclass_d(root: Path) -> None:
    top = root / "BenchmarkDermoscopic"
    for n, kind in enumerate(["benign", "benign", "benign", "malign"]):
        write_image(top / kind / f"ISIC_000000{n}.jpg")


def mclass_c(root: Path) -> None:
    top = root / "BenchmarkClinical"
    for n, kind in enumerate(["benign", "benign", "benign", "malign"]):
        write_image(top / kind / f"{n + 1}.jpg")


def atlas(root: Path) -> None:
    header = (
        "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,"
        "regression_structures,dots_and_globules,blue_whitish_veil,vascular_structures,"
        "level_of_diagnostic_difficulty,elevation,location,sex,management,clinic,derm,case_id,notes"
    )
    kinds = ["basal cell carcinoma", "clark nevus", "melanoma (in situ)", "melanoma"]
    kinds += ["reed or spitz nevus", "melanoma"]
    rows = [
        (
            f"{i + 1 if i < 5 else 4}",
            kind,
            0,
            *(["absent"] * 7),
            "medium",
            "nodular",
            "abdomen",
            "female",
            "excision",
            f"NEL/NEL0{i}.JPG",
            f"NEL/Nel1{i}.jpg",
            "",
            "",
        )
        for i, kind in enumerate(kinds)
    ]
    release = root / "release_v0"
    write_csv(release / "meta" / "meta.csv", header, rows)
    for name, numbers in (("train", [0, 1]), ("valid", [2]), ("test", [3, 4])):
        write_csv(release / "meta" / f"{name}_indexes.csv", "indexes", [[n] for n in numbers])
    for i in range(6):
        write_image(release / "images" / "NEL" / f"NEL0{i}.jpg")
        write_image(release / "images" / "NEL" / f"Nel1{i}.jpg")


def asan(root: Path) -> None:
    kinds = ["malignantmelanoma", "basalcellcarcinoma", "pigmentednevus", "seborrheickeratosis"]
    for kind in [*kinds, "actinickeratosis"]:
        for n in (1, 2):
            write_image(root / "test-asan test" / "biopsy" / kind / f"{kind}{n}.png")


def ddi(root: Path) -> None:
    rows = [
        (i, i + 1, f"{i + 1:06d}.png", tone, malignant, disease)
        for i, (tone, malignant, disease) in enumerate(
            [
                (56, True, "melanoma-in-situ"),
                (12, True, "mycosis-fungoides"),
                (34, False, "melanocytic-nevi"),
                (56, False, "seborrheic-keratosis"),
            ]
        )
    ]
    write_csv(root / "ddi_metadata.csv", ",DDI_ID,DDI_file,skin_tone,malignant,disease", rows)
    for row in rows:
        write_image(root / str(row[2]))


def pad_ufes_20(root: Path) -> None:
    header = (
        "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
        "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,"
        "diameter_1,diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed"
    )
    full = ["False", "False", "POMERANIA", "POMERANIA", 55, "False", "FEMALE", *["True"] * 4]
    none = ["", "", "", "", 8, "", "", "", "", "", ""]
    people = [("PAT_46", 881, full, 3.0, "BCC"), ("PAT_46", 882, full, 3.0, "ACK")]
    people += [("PAT_1516", 1765, none, "", "NEV"), ("PAT_684", 1302, full, 5.0, "MEL")]
    rows: list[list[object]] = []
    for patient, lesion, answers, skin, kind in people:
        image = f"{patient}_{lesion}_{lesion % 97}.png"
        rows.append([patient, lesion, *answers, skin, "NECK", 6.0, 5.0, kind, *["True"] * 6])
        rows[-1] += [image, str(kind in ("BCC", "MEL"))]
        write_image(root / "images" / f"imgs_part_{1 + lesion % 3}" / image)
    write_csv(root / "metadata.csv", header, rows)


def scin(root: Path) -> None:
    header = (
        "case_id,source,release,year,age_group,sex_at_birth,fitzpatrick_skin_type,"
        "image_1_path,image_2_path,image_3_path,image_1_shot_type"
    )
    cases = [
        ("-1000600354148496558", "FST2", ["-323", "-324"]),
        ("8000000000000000001", "NONE_SELECTED", ["555"]),
        ("8000000000000000002", "FST6", ["777"]),
    ]
    rows = []
    for case, skin, images in cases:
        paths = [f"dataset/images/{name}.png" for name in images] + ["", ""]
        rows.append((case, "SCIN", "1.0.0", 2023, "AGE_30_TO_39", "FEMALE", skin, *paths[:3], "X"))
        for name in images:
            write_image(root / "dataset" / "images" / f"{name}.png")
    write_csv(root / "dataset" / "scin_cases.csv", header, rows)
    three = ",".join(f"dermatologist_fitzpatrick_skin_type_label_{n}" for n in (1, 2, 3))
    write_csv(
        root / "dataset" / "scin_labels.csv",
        f"case_id,weighted_skin_condition_label,{three},"
        "monk_skin_tone_label_india,monk_skin_tone_label_us",
        [
            (cases[0][0], "{'Eczema': 0.41, 'Psoriasis': 0.59}", "FST2", "FST3", "FST2", 3.0, 2.0),
            (cases[1][0], "{}", "FST4", "FST5", "", "", 6.0),
            (cases[2][0], "", "", "", "", 9.0, 10.0),
        ],
    )


def mskcc(root: Path) -> None:
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,dermoscopic_type,"
        "fitzpatrick_skin_type,image_type,lesion_id,patient_id,sex"
    )
    kinds = [("contact polarized", "dermoscopic"), ("", "clinical: close-up")] * 2
    rows = [
        (
            f"ISIC_007759{i}",
            "MSKCC",
            "CC-BY",
            40,
            "upper extremity",
            kind,
            skin,
            image,
            f"IL_{i}",
            f"IP_{i // 2}",
            "male",
        )
        for i, ((kind, image), skin) in enumerate(zip(kinds, ["IV", "IV", "VI", "I"], strict=False))
    ]
    write_csv(root / "mskcc-skin-tone-labeling-dataset_metadata_2025-11-24.csv", header, rows)
    readings = [(rows[0][0], 58.6, 8.1, 17.2, 26.6), (rows[2][0], "", "", "", "")]
    readings += [("not available", 40, 9, 15, -33.7)]
    header = "isic_id,average_l,average_a,average_b,average_ita"
    write_csv(root / "supplements" / "s7.csv", header, readings)
    for row in rows:
        write_image(root / "images" / f"{row[0]}.jpg")


def milk10k(root: Path) -> None:
    classes = ["AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA"]
    classes.append("VASC")
    lesions = [f"IL_000065{n}" for n in range(4)]
    chosen = ["AKIEC", "MEL", "NV", "BCC"]
    write_csv(
        root / "MILK10k_Training_GroundTruth.csv",
        "lesion_id," + ",".join(classes),
        [
            (name, *(float(k == kind) for k in classes))
            for name, kind in zip(lesions, chosen, strict=False)
        ],
    )
    rows = []
    for i, lesion in enumerate(lesions):
        for k, kind in enumerate(["clinical: close-up", "dermoscopic"]):
            name = f"ISIC_{400 + 10 * i + k:07d}"
            rows.append((lesion, kind, name, "Vienna", "CC-BY-NC", "altered", 60, "male", i))
            rows[-1] += ("trunk", 0.35, 0.38)
            write_image(root / "MILK10k_Training_Input" / lesion / f"{name}.jpg")
    write_csv(
        root / "MILK10k_Training_Metadata.csv",
        "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,"
        "sex,skin_tone_class,site,MONET_ulceration_crust,MONET_hair",
        rows,
    )


def folder(root: Path) -> None:
    for kind in ("melanoma", "nevus", "lentigo"):
        for n in (1, 2):
            write_image(root / kind / f"{n}.jpg")


def isic_archive(root: Path) -> None:
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_1,anatom_site_2,"
        "anatom_site_3,biopsy_done,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4,diagnosis_5,"
        "diagnosis_confirm_type,fitzpatrick_skin_type,image_type,lesion_id,patient_id,sex"
    )
    melanoma = "Malignant melanocytic proliferations (Melanoma)"
    kinds = [
        ("Malignant", melanoma, "Melanoma Invasive", "Melanoma Invasive, Superficial spreading"),
        ("Benign", "Benign melanocytic proliferations", "Nevus", ""),
        ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis"),
        ("Malignant", "Malignant epidermal proliferations", "Squamous cell carcinoma, NOS", ""),
        (),
    ]
    rows = [
        (
            *(f"ISIC_200000{n}", "Some Hospital", "CC-BY" if n else "CC-0", 40 + n),
            *("Trunk", "Posterior trunk", "", "", *kind, *[""] * (5 - len(kind))),
            *("histopathology", ["VI", "II", "", "", ""][n], "clinical: close-up"),
            *(f"IL_{n}", f"IP_{n // 2}", "female"),
        )
        for n, kind in enumerate(kinds)
    ]
    for row in rows:
        write_image(root / f"{row[0]}.jpg")
    write_csv(root / "metadata.csv", header, rows)


def mra_midas(root: Path) -> None:
    header = (
        ",midas_record_id,midas_file_name,midas_iscontrol,midas_distance,midas_location,midas_path,"
        "midas_pathreport,midas_gender,midas_age,midas_fitzpatrick,midas_melanoma"
    )
    kinds = [
        ("1", "s-prd-1.jpeg", "no", "dscope", "malignant- melanoma", "ii fair skin, blue eyes"),
        ("1", "s-prd-2.JPG", "no", "6in", "malignant- melanoma", "ii fair skin, blue eyes"),
        ("2", "s-prd-3.jpg", "no", "1ft", "malignant- ak", "iii darker white skin"),
        ("3", "s-prd-4.jpg", "no", "n/a - virtual", "benign-melanocytic nevus", "vi black skin"),
        ("3", "s-prd-5.jpg", "yes", "6in", "", "vi black skin"),
        ("4", "s-prd-6.jpg", "no", "dscope", "malignant- bcc", ""),
    ]
    rows = [
        (n, record, name, control, distance, "arm", path, "free text", "male", 60, skin, "no")
        for n, (record, name, control, distance, path, skin) in enumerate(kinds)
    ]
    write_csv(root / "release_midas.csv", header, rows)
    for _, name, *_ in kinds:
        write_image(root / "images" / f"{name.split('.')[0]}.jpg")


def passion(root: Path) -> None:
    header = "subject_id,country,age,sex,fitzpatrick,body_loc,impetig,conditions_PASSION"
    people = [("AA00970300", 5, "Eczema", 2), ("AA00970301", 6, "Scabies", 1)]
    rows = [(name, "Malawi", 4, "f", skin, "arm", 0, kind) for name, skin, kind, _ in people]
    write_csv(root / "label.csv", header, rows)
    for name, _, _, images in people:
        for n in range(images):
            write_image(root / "PASSION" / f"{name}_{n + 1}.jpg")


def ph2(root: Path) -> None:
    lines = ["|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry || Colors ||"]
    for name, histology, clinical in (("IMD003", "", 0), ("IMD009", "", 1), ("IMD058", "X", 2)):
        lines.append(f"|| {name} || {histology} ||   {clinical} || 0 || 3 4 ||")
        place = root / "PH2 Dataset images" / name
        write_image(place / f"{name}_Dermoscopic_Image" / f"{name}.png")
        write_image(place / f"{name}_lesion" / f"{name}_lesion.png")
    root.mkdir(exist_ok=True)
    (root / "PH2_dataset.txt").write_text("\n".join([*lines, "", "Legends:", "Asymmetry | 0"]))


def med_node(root: Path) -> None:
    for kind in ("melanoma", "naevus"):
        for n in (1, 2):
            write_image(root / "complete_mednode_dataset" / kind / f"{n}.jpg")


def ddi_2(root: Path) -> None:
    rows = [
        ("502948221_cropped", "3, 4", "malignant melanoma", "melanoma", "malignant"),
        ("502948222_cropped", "5", "basal cell carcinoma, nodular", "BCC", "malignant"),
        ("502948223_cropped", "4", "actinic keratosis", "keratosis", "benign"),
        ("502948224_cropped.jpg", "", "intradermal nevus", "nevus", "benign"),
    ]
    header = "photo_id,fitzpatrick_skin_type,diagnosis_detailed,diagnosis_general,benign/malignant"
    write_csv(root / "final_DDI2_Asian_spreadsheet.csv", header, rows)
    for row in rows:
        write_image(root / "images" / f"{row[0].removesuffix('.jpg')}.jpg")


WRITERS: dict[str, Callable[[Path], None]] = {
    "isic2017": isic2017,
    "isic2018": isic2018,
    "isic2019": isic2019,
    "isic2020": isic2020,
    "isic2024": isic2024,
    "fitzpatrick17k": fitzpatrick17k,
    "mclass-d": mclass_d,
    "mclass-c": mclass_c,
    "atlas": atlas,
    "asan": asan,
    "ham10000": ham10000,
    "bcn20000": bcn20000,
    "ddi": ddi,
    "ddi-2": ddi_2,
    "pad-ufes-20": pad_ufes_20,
    "scin": scin,
    "mskcc": mskcc,
    "milk10k": milk10k,
    "mra-midas": mra_midas,
    "passion": passion,
    "ph2": ph2,
    "med-node": med_node,
    "isic-archive": isic_archive,
    "folder": folder,
}


def write_release(name: str, directory: Path) -> Path:
    WRITERS[name](directory)
    return directory
