from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("controller", "0002_order_of_words"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="cohort",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="step",
            name="cohort",
            field=models.TextField(blank=True, default=""),
        ),
    ]
